"""Questions that come over HTTP: lines in, a label with probabilities per line out."""

import re
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from pydantic import BaseModel

from rnnflow_bits.ingest import BITS
from rnnflow_bits.labeller import LineLabeller
from tasks.contract.interface import Answer, Answered, Caps, FieldError, Interface, ModelState


class Question(BaseModel):
    """Lines to label."""

    lines: list[str]


class LineAnswer(Answer):
    """The most probable label of each line, and the probability of every label."""

    labels: list[str]
    probabilities: list[dict[str, float]]


INTERFACE = Interface(
    purpose="Labels lines of 0s and 1s",
    summary="Label lines",
    description="Return a label for each line, and the probability of every label.",
    items="lines",
    sample='{"lines": ["0110"]}',
    question=Question,
    answer=LineAnswer,
    state=ModelState,
)

load_model = LineLabeller.load


def warm_up(labeller: LineLabeller) -> bool:
    """Have a model label a line; tells whether its numbers are finite."""
    return bool(np.isfinite(labeller.predict_logits(["01"])).all())


def describe_model(_labeller: LineLabeller) -> dict:
    """Nothing beyond what is said of every model."""
    return {}


def parse_items(question: dict, caps: Caps) -> list[str]:
    """Read the lines of a question; raises FieldError naming the first field that is wrong."""
    lines = question.get("lines")
    if set(question) != {"lines"} or not isinstance(lines, list) or not 1 <= len(lines) <= caps.max_texts:
        raise FieldError(
            "lines", f"expected 1 to max_texts = {caps.max_texts} lines alone.", f"send {INTERFACE.sample}."
        )
    for index, line in enumerate(lines):
        if not isinstance(line, str) or not re.fullmatch(BITS, line):
            raise FieldError(f"lines[{index}]", "is no line of 0s and 1s.", "mend it, or leave it out.")
    return lines


def answer_questions(labeller: LineLabeller, questions: Sequence[list[str]], _caps: Caps) -> Answered:
    """Label the lines of several questions at once."""
    probabilities = labeller.predict_probabilities([line for lines in questions for line in lines])
    parts = np.split(probabilities, list(accumulate(map(len, questions)))[:-1])
    answers = [{"labels": labeller.name_best(part), "probabilities": labeller.by_label(part)} for part in parts]
    return Answered(answers=answers)
