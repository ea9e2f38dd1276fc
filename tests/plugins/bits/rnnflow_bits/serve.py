"""Questions that come over HTTP: lines in, a label with probabilities per line out."""

import re
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, Field

from rnnflow_bits.ingest import BITS
from rnnflow_bits.labeller import LineLabeller
from tasks.contract.interface import Answer, Answered, Caps, FieldError, Interface, ModelState
from tasks.errors import quoted


class Question(BaseModel):
    """Lines to label."""

    lines: list[str] = Field(description="Lines of 0s and 1s.", examples=[["0110"]])


class LabelledLine(BaseModel):
    """The most probable label of a line, and the probability of every label."""

    label: str
    probabilities: dict[str, float]


class LineAnswer(Answer):
    """An answer per line."""

    answers: list[LabelledLine]


class LabellerState(ModelState):
    """The labels that the model knows."""

    labels: list[str]


INTERFACE = Interface(
    purpose="Labels lines of 0s and 1s",
    summary="Label lines",
    description="One label per line, with the probability of each.",
    items="lines",
    sample='{"lines": ["0110"]}',
    question=Question,
    answer=LineAnswer,
    state=LabellerState,
)

load_model = LineLabeller.load


def warm_up(labeller: LineLabeller) -> bool:
    """Have a model label a line."""
    return bool(np.isfinite(labeller.predict_logits(["01"])).all())


def describe_model(labeller: LineLabeller) -> dict:
    """Say which labels a model knows."""
    return {"labels": list(labeller.labels)}


def parse_items(question: dict, caps: Caps) -> list[str]:
    """Read the lines of a question; raises FieldError naming the first field that is wrong."""
    lines = question.get("lines")
    if set(question) != {"lines"} or not isinstance(lines, list) or not 1 <= len(lines) <= caps.max_texts:
        raise FieldError("lines", f"expected an array of 1 to {caps.max_texts} lines, and nothing else", "mend it")
    for index, line in enumerate(lines):
        if not isinstance(line, str) or not re.fullmatch(BITS, line):
            raise FieldError(f"lines[{index}]", f"got {quoted(line)}, expected digits 0 and 1", "mend the line")
    return lines


def answer_questions(labeller: LineLabeller, questions: Sequence[list[str]], _caps: Caps) -> Answered:
    """Label the lines of several questions at once."""
    probabilities = labeller.predict_probabilities([line for lines in questions for line in lines])
    named = [
        {"label": label, "probabilities": dict(zip(labeller.labels, row.tolist(), strict=True))}
        for label, row in zip(labeller.name_best(probabilities), probabilities, strict=True)
    ]
    ends = np.cumsum([len(lines) for lines in questions]).tolist()
    return Answered(answers=[{"answers": named[start:end]} for start, end in zip([0, *ends], ends, strict=False)])
