"""Evaluation: sliced by label and length; mistakes show the line."""

from tasks.labelled.evaluate import LabelledEvaluation

EVALUATION = LabelledEvaluation(unit="digits", encoder="shard.max_length")
