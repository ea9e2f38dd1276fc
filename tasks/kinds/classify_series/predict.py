"""Prediction for sequences: a file with a row per sequence and step in, a label with probabilities per sequence out.

Besides E-OUT and E-REG, a missing channel (E-SEQ-003) and missing numbers (E-SER-009) are refused.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from tasks.kinds.classify_series.classifier import SequenceLabeller
from tasks.prediction.tables_of_numbers import AnsweredTable, predict_table


@dataclass(frozen=True, kw_only=True)
class LabelledFile(AnsweredTable):
    """What became of a file of sequences: an answer for each."""

    items: ClassVar[str] = "sequences"
    done: ClassVar[str] = "classified"


predict_file = partial(predict_table, load=SequenceLabeller.load, told=LabelledFile)
