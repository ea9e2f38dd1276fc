"""What stage `gate` needs of text classifiers: equal texts are one row; all else is as for every classifier."""

import polars as pl

from tasks.kinds.classify.classifier import TextClassifier
from tasks.labelled.gate import LabelledGate

GATE = LabelledGate(labeller=TextClassifier, length=pl.col("text").str.len_chars(), length_unit="characters")
