"""Test lines on which champion and challenger are compared, as all classifiers are."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import polars as pl

from rnnflow_bits.labeller import KIND, LineLabeller
from tasks.contract.lineage import Lineage
from tasks.labelled.gate import compare_scores, refuse_incomparable
from tasks.labelled.scoring import LabelledHoldout, build_scores, trace_holdout
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
    def questions(self) -> list[str]:
        """The lines."""
        return self.lines.to_list()

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


score_model = partial(build_scores, load=LineLabeller.load, module=__name__)
