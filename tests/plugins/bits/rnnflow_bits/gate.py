"""Test lines on which champion and challenger are compared, as all classifiers are."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from rnnflow_bits.labeller import KIND, LineLabeller
from tasks.contract.lineage import Lineage
from tasks.labelled.gate import compare_scores, refuse_incomparable
from tasks.labelled.scoring import LabelledHoldout, Scores, build_scores, name_classes, score_logits, trace_holdout
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.store.fingerprint import digest_of

__all__ = ["compare_scores", "read_holdout", "refuse_incomparable", "score_model"]


@dataclass(frozen=True, kw_only=True)
class LineHoldout(LabelledHoldout):
    """Lines to test on, in their own order."""

    kind: ClassVar[str] = KIND
    unit: ClassVar[str] = "lines"
    length_unit: ClassVar[str] = "digits"

    lines: pl.Series

    @property
    def lengths(self) -> np.ndarray:
        """Length of each line in digits."""
        return self.lines.str.len_chars().to_numpy()


def read_holdout(lineage: Lineage) -> LineHoldout:
    """Read the test lines of a split."""
    rows, digest = _read_test_rows(lineage.splits), _digest_test_rows(lineage.splits)
    history = trace_holdout(lineage.splits, digest, _digest_test_rows)
    return LineHoldout(lines=rows["text"], labels=rows["label"], digest=digest, **history)


def _read_test_rows(splits: Artefact) -> pl.DataFrame:
    return pl.read_parquet(splits.file("test.parquet"), columns=["text", "label"]).sort("text", "label")


def _digest_test_rows(splits: Artefact) -> str:
    return digest_of([column.to_list() for column in _read_test_rows(splits)])


def score_model(model: RegisteredModel, holdout: LineHoldout) -> Scores:
    """Return a model's scores on a holdout, from the store if it was scored there before."""
    return build_scores(partial(write_scores, parts=model.parts, holdout=holdout), model, holdout, __name__)


def write_scores(folder: Path, *, parts: Path, holdout: LineHoldout) -> dict:
    """Fill the artefact's folder: `scores.parquet` with the predicted label and the log loss of each line."""
    labeller = LineLabeller.load(parts)
    labels = name_classes(labeller.labels, holdout)
    logits = labeller.predict_logits(holdout.lines.to_list())
    scores, undefined = score_logits(logits, labels, labeller.serving.temperature, holdout.labels)
    scores.write_parquet(folder / "scores.parquet")
    return {"rows": holdout.rows, "undefined": undefined, "labels": sorted(set(labels))}
