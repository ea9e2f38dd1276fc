"""Prediction for lines: a table with a line per row in, a label with probabilities per line out."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from rnnflow_bits.labeller import LineLabeller
from tasks.prediction.tables_of_numbers import AnsweredTable, predict_table


@dataclass(frozen=True, kw_only=True)
class LabelledLines(AnsweredTable):
    """What became of a file of lines: an answer for each."""

    items: ClassVar[str] = "lines"
    done: ClassVar[str] = "labelled"


predict_file = partial(predict_table, load=LineLabeller.load, told=LabelledLines)
