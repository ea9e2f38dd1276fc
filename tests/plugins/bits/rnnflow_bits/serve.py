"""Questions that come over HTTP: lines in, a label with probabilities per line out."""

import re

from pydantic import Field

from rnnflow_bits.ingest import BITS
from rnnflow_bits.labeller import LineLabeller
from tasks.contract.interface import Caps, Interface, Question, RequestError
from tasks.labelled.serve import LabelledAnswer, LabelledService, LabelledState


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


INTERFACE = Interface(
    purpose="Labels lines of 0s and 1s",
    summary="Label lines",
    description="Return a label for each line, and the probability of every label.",
    items="lines",
    sample='{"lines": ["0110"]}',
    caps=LineCaps,
    question=LineQuestion,
    answer=LabelledAnswer,
    state=LabelledState,
)
SERVICE = LabelledService(INTERFACE=INTERFACE, labeller=LineLabeller, samples=["01"])
