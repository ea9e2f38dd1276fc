"""What a registered classifier answers on the test rows.

Models are compared by the names of labels, so their lists may differ.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from tasks.classification.calibration import calibrated_probabilities
from tasks.fingerprint import digest_of
from tasks.lineage import Lineage
from tasks.promotion import scoring
from tasks.promotion.comparison import percent
from tasks.registry import RegisteredModel
from tasks.store import Artefact
from tasks.text.classifier import TextClassifier

# A label that a model does not know has no probability; its log loss shall be large and finite.
LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True, kw_only=True)
class LabelledHoldout(scoring.Holdout):
    """Test rows by content, in an order in which neither row numbers nor file formats matter."""

    length_unit: ClassVar[str]

    labels: pl.Series

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.labels)

    @property
    @abstractmethod
    def lengths(self) -> np.ndarray:
        """Length of each row, in `length_unit`."""


@dataclass(frozen=True, kw_only=True)
class Holdout(LabelledHoldout):
    """Texts to test on, ordered by text and label."""

    length_unit: ClassVar[str] = "characters"

    texts: pl.Series

    @property
    def lengths(self) -> np.ndarray:
        """Length of each text in characters."""
        return self.texts.str.len_chars().to_numpy()


@dataclass(frozen=True, kw_only=True)
class Scores(scoring.Scores):
    """One model on a holdout: whether each row was right, its log loss, and how many answers are undefined."""

    hits: np.ndarray
    losses: np.ndarray

    @property
    def figures(self) -> dict:
        """Version, accuracy and log loss."""
        return {"version": self.version, "accuracy": float(self.hits.mean()), "loss": float(self.losses.mean())}

    @property
    def headline(self) -> str:
        """The accuracy."""
        return percent(self.figures["accuracy"])


def read_holdout(lineage: Lineage) -> Holdout:
    """Read the test rows of a split."""
    rows = pl.read_parquet(lineage.splits.file("test.parquet"), columns=["text", "label"]).sort("text", "label")
    return Holdout(
        texts=rows["text"], labels=rows["label"], digest=digest_of([rows["text"].to_list(), rows["label"].to_list()])
    )


def score_model(model: RegisteredModel, holdout: Holdout) -> Scores:
    """Return a model's scores on a holdout, from the store if it was scored there before.

    Raises IntegrityError (E-INT-001) if a file of the model is damaged.
    """
    write = partial(write_scores, classifier=model.parts, holdout=holdout)
    return open_scores(scoring.build_scores(write, model, holdout, module=__name__), model, holdout)


def open_scores(artefact: Artefact, model: RegisteredModel, holdout: LabelledHoldout) -> Scores:
    """Read the scores that were stored of a model on a holdout."""
    scores = pl.read_parquet(artefact.file("scores.parquet"))
    return Scores(
        version=model.version,
        hits=(scores["predicted"] == holdout.labels).to_numpy(),
        losses=scores["loss"].to_numpy(),
        undefined=artefact.summary["undefined"],
    )


def write_scores(folder: Path, *, classifier: Path, holdout: Holdout) -> dict:
    """Fill the artefact's folder: `scores.parquet` with the predicted label and the log loss of each row."""
    loaded = TextClassifier.load(classifier)
    logits = loaded.predict_logits(holdout.texts.to_list())
    scores, undefined = score_logits(logits, loaded.labels, loaded.serving.temperature, holdout.labels)
    scores.write_parquet(folder / "scores.parquet")
    return {"rows": holdout.rows, "undefined": undefined}


def score_logits(
    logits: np.ndarray, labels: Sequence[str], temperature: float, truth: pl.Series
) -> tuple[pl.DataFrame, int]:
    """Predicted label and log loss of each row (predicted, loss), and how many rows have no defined answer."""
    defined = np.isfinite(logits).all(axis=1)
    probabilities = calibrated_probabilities(np.where(defined[:, None], logits, 0.0), temperature)
    predicted = pl.Series(np.array(labels)[logits.argmax(axis=1)])
    losses = log_losses(probabilities, labels, truth)
    return pl.DataFrame({"predicted": predicted, "loss": losses}), int((~defined).sum())


def log_losses(probabilities: np.ndarray, labels: Sequence[str], truth: pl.Series) -> np.ndarray:
    """Minus log of the probability [n] that each row's own label got."""
    column_of = {label: index for index, label in enumerate(labels)}
    columns = np.array([column_of.get(label, len(labels)) for label in truth])
    padded = np.pad(probabilities, ((0, 0), (0, 1)))
    return -np.log(np.maximum(padded[np.arange(len(columns)), columns], LEAST_PROBABILITY))
