"""What stage `gate` needs of classifiers of texts: the test texts by content, and what a model answers on them."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from tasks.contract.lineage import Lineage
from tasks.kinds.classify.classifier import KIND, TextClassifier
from tasks.labelled.gate import compare_scores, refuse_incomparable
from tasks.labelled.scoring import (
    LabelledHoldout,
    Scores,
    build_scores,
    name_classes,
    score_logits,
    trace_holdout,
)
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.store.fingerprint import digest_of

__all__ = ["compare_scores", "read_holdout", "refuse_incomparable", "score_model"]


@dataclass(frozen=True, kw_only=True)
class TextHoldout(LabelledHoldout):
    """Texts to test on, ordered by text and label."""

    kind: ClassVar[str] = KIND
    length_unit: ClassVar[str] = "characters"

    texts: pl.Series

    @property
    def lengths(self) -> np.ndarray:
        """Length of each text in characters."""
        return self.texts.str.len_chars().to_numpy()


def read_holdout(lineage: Lineage) -> TextHoldout:
    """Read the test rows of a split."""
    rows = _read_test_rows(lineage.splits)
    digest = _digest_test_rows(lineage.splits)
    history = trace_holdout(lineage.splits, digest, _digest_test_rows)
    return TextHoldout(texts=rows["text"], labels=rows["label"], digest=digest, **history)


def _read_test_rows(splits: Artefact) -> pl.DataFrame:
    return pl.read_parquet(splits.file("test.parquet"), columns=["text", "label"]).sort("text", "label")


def _digest_test_rows(splits: Artefact) -> str:
    rows = _read_test_rows(splits)
    return digest_of([rows["text"].to_list(), rows["label"].to_list()])


def score_model(model: RegisteredModel, holdout: TextHoldout) -> Scores:
    """Return a model's scores on a holdout, from the store if it was scored there before.

    Raises IntegrityError (E-INT-001) if a file of the model is damaged.
    """
    return build_scores(partial(write_scores, classifier=model.parts, holdout=holdout), model, holdout, __name__)


def write_scores(folder: Path, *, classifier: Path, holdout: TextHoldout) -> dict:
    """Fill the artefact's folder: `scores.parquet` with the predicted label and the log loss of each row."""
    loaded = TextClassifier.load(classifier)
    logits = loaded.predict_logits(holdout.texts.to_list())
    labels = name_classes(loaded.labels, holdout)
    scores, undefined = score_logits(logits, labels, loaded.serving.temperature, holdout.labels)
    scores.write_parquet(folder / "scores.parquet")
    return {"rows": holdout.rows, "undefined": undefined, "labels": sorted(set(labels))}
