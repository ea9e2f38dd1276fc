"""What a registered classifier answers on the test rows.

Models are compared by the names of labels, so their lists may differ.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tasks.errors import IntegrityError, quoted
from tasks.labelled.calibration import calibrated_probabilities
from tasks.labelled.labeller import Labeller
from tasks.labelled.summaries import Changes, LabelledSplitSummary
from tasks.promotion import scoring
from tasks.promotion.comparison import percent
from tasks.registry.registered_model import RegisteredModel
from tasks.sources.label_names import match_labels, plain_label
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.fingerprint import digest_of

logger = logging.getLogger(__name__)

# A label that a model does not know has no probability; its log loss shall be large and finite.
LEAST_PROBABILITY = 1e-12


class AnsweredSummary(scoring.ScoredSummary):
    """What a model was asked, and the labels that it knows under their names of now."""

    labels: list[str]


@dataclass(frozen=True, kw_only=True)
class LabelledHoldout(scoring.Holdout):
    """Test rows by content, in an order in which neither row numbers nor file formats matter.

    questions: what a model of the `kind` is asked. lengths: of each row, in `length_unit`. names: what the source calls
    labels of earlier days now.
    """

    kind: str
    questions: Any
    lengths: np.ndarray
    length_unit: str
    labels: pl.Series
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class Scores(scoring.Scores):
    """One model on a holdout: whether each row was right, its log loss, and how many answers are undefined.

    `labels` are those that the model knows, under the names that the source gives them now.
    """

    hits: np.ndarray
    losses: np.ndarray
    labels: Sequence[str]

    @property
    def figures(self) -> dict:
        """Version, accuracy and log loss."""
        return {"version": self.version, "accuracy": float(self.hits.mean()), "loss": float(self.losses.mean())}

    @property
    def headline(self) -> str:
        """The accuracy."""
        return percent(self.figures["accuracy"])


def trace_holdout(splits: Artefact, digest: str, digest_rows: Callable[[Artefact], str]) -> dict:
    """What a holdout takes from those it follows: `names`, and if these have another digest `origin` and `notes`.

    Rows that are gone are followed no more, so that nothing can be said to have been decided on them.
    """
    summary = LabelledSplitSummary.of(splits)
    names, held = summary.names, summary.held
    if held is None:
        return {"names": names}
    try:
        origin = digest_rows(artefacts.open_artefact(held.origin))
    except IntegrityError as error:
        logger.warning("The test rows that those of %s follow are lost. %s", splits.reference, error)
        return {"names": names}
    return {"names": names} if origin == digest else {"names": names, "origin": origin, "notes": _notes(splits, held)}


def _notes(splits: Artefact, held: Changes) -> tuple[str]:
    """Say how test rows differ from those that they follow."""
    labels = pl.read_parquet(splits.file("test.parquet"), columns=["label"])["label"]
    counted = {
        "rows with another label": held.other_label.get("test", 0),
        "rows that left with their label": held.left.get("test", 0),
        "rows that came back with theirs": held.returned.get("test", 0),
        f"rows of the new label {', '.join(map(quoted, held.new_labels))}": int(labels.is_in(held.new_labels).sum()),
    }
    said = [f"{what}: {count}" for what, count in counted.items() if count]
    renamed = [f"label {quoted(old)} is {quoted(new)} now" for old, new in held.renamed.items()]
    return (f"The test rows changed with the source ({'; '.join([*said, *renamed])}): both models were scored again.",)


def build_scores(model: RegisteredModel, holdout: LabelledHoldout, labeller: type[Labeller[Any]]) -> Scores:
    """Have a model, read by its class, answer a holdout, unless it did under these names before.

    Raises IntegrityError (E-INT-001) if a file of the model is damaged, and what it raises for rows that it cannot
    read.
    """
    write = partial(write_scores, labeller=labeller, parts=model.parts, holdout=holdout)
    origin, modules = {"names": digest_of(dict(holdout.names))}, (__name__, labeller.__module__)
    return open_scores(scoring.build_scores(write, model, holdout, module=modules, origin=origin), model, holdout)


def open_scores(artefact: Artefact, model: RegisteredModel, holdout: LabelledHoldout) -> Scores:
    """Read the scores that were stored of a model on a holdout."""
    scores, summary = pl.read_parquet(artefact.file("scores.parquet")), AnsweredSummary.of(artefact)
    return Scores(
        version=model.version,
        hits=(scores["predicted"] == holdout.labels).to_numpy(),
        losses=scores["loss"].to_numpy(),
        undefined=summary.undefined,
        labels=summary.labels,
    )


def write_scores(
    folder: Path, *, labeller: type[Labeller[Any]], parts: Path, holdout: LabelledHoldout
) -> AnsweredSummary:
    """Fill the artefact's folder: `scores.parquet` with the predicted label and the log loss of each row."""
    model = labeller.load(parts)
    labels = name_classes(model.labels, holdout)
    logits = model.predict_logits(holdout.questions)
    scores, undefined = score_logits(logits, labels, model.serving.temperature, holdout.labels)
    scores.write_parquet(folder / "scores.parquet")
    return AnsweredSummary(rows=holdout.rows, undefined=undefined, labels=sorted(set(labels)))


def name_classes(labels: Sequence[str], holdout: LabelledHoldout) -> list[str]:
    """A model's classes under the names that the source gives them now, in whatever form they were written."""
    renamed = {label: holdout.names.get(plain_label(label), plain_label(label)) for label in labels}
    matched = match_labels(renamed.values(), holdout.labels.unique())
    return [matched.get(renamed[label], renamed[label]) for label in labels]


def score_logits(
    logits: np.ndarray, labels: Sequence[str], temperature: float, truth: pl.Series
) -> tuple[pl.DataFrame, int]:
    """Predicted label and log loss of each row (predicted, loss), and how many rows have no defined answer.

    Classes that have one name now are one: their probabilities add up.
    """
    defined = np.isfinite(logits).all(axis=1, keepdims=True)
    probabilities = calibrated_probabilities(np.where(defined, logits, 0.0), temperature)
    predicted = pl.Series(np.array(labels)[logits.argmax(axis=1)])
    losses = log_losses(probabilities, labels, truth)
    return pl.DataFrame({"predicted": predicted, "loss": losses}), int((~defined).sum())


def log_losses(probabilities: np.ndarray, labels: Sequence[str], truth: pl.Series) -> np.ndarray:
    """Minus log of the probability [n] that each row's own label got."""
    own = np.zeros(len(truth))
    for label in truth.unique():
        inside = (truth == label).to_numpy()
        columns = [index for index, known in enumerate(labels) if known == label]
        own[inside] = probabilities[inside][:, columns].sum(axis=1)
    return -np.log(np.maximum(own, LEAST_PROBABILITY))
