"""What stage `gate` needs of classifiers of sequences: equal numbers are one row; all else is as for texts."""

import hashlib

import polars as pl

from tasks.kinds.classify_series.classifier import SequenceLabeller
from tasks.labelled.gate import LabelledGate
from tasks.panel.frames import VALUES


def digest_contents(sequences: pl.DataFrame) -> pl.Series:
    """SHA-256 over the numbers of each sequence, channel by channel; a missing one counts as NaN."""
    channels = sequences.select(VALUES.list.eval(pl.element().fill_null(float("nan"))))
    digests = [
        hashlib.sha256(b"".join(numbers.to_numpy().tobytes() for numbers in row)).hexdigest()
        for row in zip(*(channels[name] for name in sorted(channels.columns)), strict=True)
    ]
    return pl.Series(digests, dtype=pl.String)


GATE = LabelledGate(
    labeller=SequenceLabeller,
    content=digest_contents,
    length=pl.col("length"),
    length_unit="steps",
    unit="sequences",
)
