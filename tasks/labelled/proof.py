"""Proof that a registered classifier answers as it was evaluated, within what rounding explains."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rnnmodels.deviation import largest_deviation
from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.errors import IntegrityError
from tasks.labelled.calibration import calibrated_probabilities
from tasks.labelled.fit import open_shards_of

if TYPE_CHECKING:
    from rnnmodels.classifiers.batches import Batch
    from rnnmodels.classifiers.classifier import RecurrentClassifier


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Some test rows as they were evaluated: in these batches, of these row ids, with these logits [n, classes]."""

    batches: "list[Batch]"
    rows: list[int]
    logits: np.ndarray

    def read_rows(self, lineage: Lineage) -> pl.DataFrame:
        """The rows as the split has them, in their order."""
        wanted = pl.LazyFrame({"row": self.rows}, schema={"row": pl.UInt32})
        test = pl.scan_parquet(lineage.splits.file("test.parquet"))
        return wanted.join(test, on="row", how="left", maintain_order="left").collect()


def gather_judged(lineage: Lineage, best: Scored, batch_size: int) -> Judged:
    """Take the first, the middle and the last of the batches in which test rows were scored: short to long rows."""
    batches = list(open_shards_of(lineage.shards)["test"].batches(batch_size))
    chosen = [batches[index] for index in sorted({0, len(batches) // 2, len(batches) - 1})]
    rows = [int(row) for batch in chosen for row in batch.row]
    wanted = pl.LazyFrame({"row": rows}, schema={"row": pl.UInt32})
    evaluated = pl.scan_parquet(best.model.file("predictions.parquet")).filter(split="test")
    logits = wanted.join(evaluated, on="row", how="left", maintain_order="left").collect()["logits"]
    return Judged(batches=chosen, rows=rows, logits=np.array(logits.to_list(), dtype=np.float32))


def score_as_judged(model: "RecurrentClassifier", judged: Judged, sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Score rows, encoded as the served model does, in the batches in which they were evaluated: logits [n, classes].

    Raises IntegrityError (E-REG-005) if the served model makes other numbers of a row.
    """
    from rnnmodels.classifiers.inference import pad_sequences, score_batch
    from rnnmodels.training.evaluation import evaluating

    logits, start = [], 0
    for batch in judged.batches:
        own = sequences[start : start + len(batch.row)]
        start += len(own)
        padded = pad_sequences(own, row=batch.row, width=batch.steps.shape[1])
        _refuse_other_steps(padded, batch)
        with evaluating(model):
            logits.append(score_batch(model, padded))
    return np.concatenate(logits)


def prove_answers(
    logits: np.ndarray, probabilities: np.ndarray, expected: np.ndarray, *, temperature: float, tolerance: float
) -> dict:
    """Compare served logits and probabilities [n, classes] with the evaluated logits; returns the measurements.

    Raises IntegrityError (E-REG-006) where they differ more than the tolerance.
    """
    deviations = {
        "logits": largest_deviation(logits, expected),
        "probabilities": largest_deviation(probabilities, calibrated_probabilities(expected, temperature)),
    }
    for what, deviation in deviations.items():
        _refuse_deviation(what, deviation, tolerance)
    bitwise = bool(np.array_equal(logits, expected))
    return {"rows": len(expected), "bitwise": bitwise, "tolerance": tolerance, "deviations": deviations}


def _refuse_other_steps(served: "Batch", evaluated: "Batch") -> None:
    axes = tuple(range(1, evaluated.steps.ndim))
    same = (served.steps == evaluated.steps).all(axis=axes) & (served.length == evaluated.length)
    if not same.all():
        raise IntegrityError(
            "E-REG-005",
            f"row {evaluated.row[same.argmin()]}: the served model encodes it differently from the evaluated one.",
            fix="run again with --refresh; if it persists, the served encoder differs from the stage `encode`.",
        )


def _refuse_deviation(what: str, deviation: float, tolerance: float) -> None:
    if not deviation <= tolerance:
        raise IntegrityError(
            "E-REG-006",
            f"the registered model's {what} differ from the evaluated ones by {deviation:.3g}, "
            f"more than {tolerance:g}.",
            fix="run again with --refresh; if it persists, what is served is not what was evaluated.",
        )
