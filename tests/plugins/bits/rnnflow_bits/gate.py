"""Test lines on which champion and challenger are compared, as all classifiers are."""

import polars as pl

from rnnflow_bits.labeller import LineLabeller
from tasks.labelled.gate import LabelledGate

GATE = LabelledGate(labeller=LineLabeller, length=pl.col("text").str.len_chars(), length_unit="digits", unit="lines")
