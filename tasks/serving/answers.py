"""What clients receive from any model: the shapes of states and errors, and how questions become answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, JsonValue
from starlette.responses import JSONResponse

from tasks.contract.interface import Caps, RequestError, with_example
from tasks.serving.champion import ModelFollower
from tasks.serving.seen_inputs import SeenInputs

ERROR: dict[str, JsonValue] = {
    "code": "E-SRV-013",
    "field": "texts[3]",
    "problem": "got null, expected a text.",
    "fix": "send a string.",
}

# What failed is in the log; a client is not told.
INTERNAL_ERROR = RequestError(None, "the model failed on this request.", "see the server's log.", "E-BUG-001", 500)


class ReadyAnswer(BaseModel):
    """`degraded` means that an older version still answers, because of `problem`."""

    status: str
    model: str
    problem: str | None


class ErrorDetails(BaseModel):
    """What was refused, and how to correct it."""

    code: str
    field: str | None
    problem: str
    fix: str


class ErrorAnswer(BaseModel):
    """A refused request."""

    model_config = with_example({"error": ERROR})

    error: ErrorDetails


@dataclass(frozen=True, kw_only=True)
class Answerer:
    """Answers questions with the model that is current when a batch begins, and counts what it saw."""

    follower: ModelFollower
    seen: SeenInputs
    caps: Caps

    def __call__(self, questions: Sequence[Any]) -> list[JSONResponse | RequestError]:
        """Return a response, or an error, for each question; raises what a kind's code raises."""
        served = self.follower.current
        answered = served.module.answer_questions(served.model, questions, self.caps, label=served.label)
        for profile in answered.profiles:
            self.seen.add(served.label, profile)
        return [
            answer if isinstance(answer, RequestError) else JSONResponse({"model": served.label, **answer})
            for _, answer in zip(questions, answered.answers, strict=True)
        ]
