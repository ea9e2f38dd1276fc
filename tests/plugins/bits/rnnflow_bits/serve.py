"""Questions that come over HTTP: lines in, a label with probabilities per line out."""

import re
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from rnnflow_bits.ingest import BITS
from rnnflow_bits.labeller import LineLabeller
from tasks.contract.interface import Answer, Answered, Caps, Interface, ModelState, Question, RequestError


class LineCaps(Caps):
    """What a question about lines may hold."""

    max_lines: int = Field(100, ge=1, description="Lines of a request.")


class LineQuestion(Question):
    """Lines to label."""

    lines: list[str] = Field(min_length=1)

    def check(self, caps: LineCaps) -> None:
        """Raise RequestError naming the first line that is one too many, or is none."""
        for index, line in enumerate(self.lines):
            if index == caps.max_lines:
                raise RequestError("lines", f"got more than max_lines = {caps.max_lines} lines.", "send fewer at once.")
            if not re.fullmatch(BITS, line):
                raise RequestError(f"lines[{index}]", "is no line of 0s and 1s.", "correct it, or leave it out.")


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
    caps=LineCaps,
    question=LineQuestion,
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


def answer_questions(labeller: LineLabeller, questions: Sequence[LineQuestion], _caps: Caps, *, label: str) -> Answered:
    """Label the lines of several questions at once."""
    probabilities = labeller.predict_probabilities([line for question in questions for line in question.lines])
    parts = np.split(probabilities, np.cumsum([len(question.lines) for question in questions])[:-1])
    answers = [{"labels": labeller.name_best(part), "probabilities": labeller.by_label(part)} for part in parts]
    return Answered(answers=answers)
