"""Evaluation of classifiers of sequences: sliced by label and length; mistakes are named by the id of the sequence."""

import polars as pl

from tasks.labelled.evaluate import LabelledEvaluation

EVALUATION = LabelledEvaluation(
    unit="steps", encoder="encode.method", quote=pl.format("{}, {} steps", "series", "length")
)
