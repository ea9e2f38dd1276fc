"""What stage `gate` needs of classifiers of sequences: the test sequences by content; all else is as for texts."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from tasks.contract.lineage import Lineage
from tasks.kinds.classify_series.classifier import KIND, SequenceLabeller
from tasks.labelled.gate import compare_scores, refuse_incomparable
from tasks.labelled.scoring import LabelledHoldout, Scores, build_scores, trace_holdout
from tasks.panel.frames import VALUES
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.store.fingerprint import digest_of

__all__ = ["compare_scores", "read_holdout", "refuse_incomparable", "score_model"]


@dataclass(frozen=True, kw_only=True)
class SequenceHoldout(LabelledHoldout):
    """Sequences to test on (row, series, length, time, value.*), ordered by content and label."""

    kind: ClassVar[str] = KIND
    unit: ClassVar[str] = "sequences"
    length_unit: ClassVar[str] = "steps"

    sequences: pl.DataFrame

    @property
    def questions(self) -> pl.DataFrame:
        """The sequences."""
        return self.sequences

    @property
    def lengths(self) -> np.ndarray:
        """Length of each sequence in steps."""
        return self.sequences["length"].to_numpy()


def read_holdout(lineage: Lineage) -> SequenceHoldout:
    """Read the test sequences of a split."""
    ordered, digest = _read_test_rows(lineage.splits), _digest_test_rows(lineage.splits)
    history = trace_holdout(lineage.splits, digest, _digest_test_rows)
    return SequenceHoldout(
        sequences=ordered.drop("content", "label"), labels=ordered["label"], digest=digest, **history
    )


def _read_test_rows(splits: Artefact) -> pl.DataFrame:
    sequences = pl.read_parquet(splits.file("test.parquet"))
    return sequences.with_columns(content=digest_contents(sequences)).sort("content", "label")


def _digest_test_rows(splits: Artefact) -> str:
    ordered = _read_test_rows(splits)
    return digest_of([ordered["content"].to_list(), ordered["label"].to_list()])


def digest_contents(sequences: pl.DataFrame) -> pl.Series:
    """SHA-256 over the numbers of each sequence, channel by channel; a missing one counts as NaN."""
    channels = sequences.select(VALUES.list.eval(pl.element().fill_null(float("nan"))))
    digests = [
        hashlib.sha256(b"".join(numbers.to_numpy().tobytes() for numbers in row)).hexdigest()
        for row in zip(*(channels[name] for name in sorted(channels.columns)), strict=True)
    ]
    return pl.Series(digests, dtype=pl.String)


def score_model(model: RegisteredModel, holdout: SequenceHoldout) -> Scores:
    """Return a model's scores on a holdout, from the store if it was scored there before.

    Raises IntegrityError (E-INT-001) if a file of the model is damaged.
    """
    return build_scores(model, holdout, load=SequenceLabeller.load, module=__name__)
