"""How the models of a kind are asked over HTTP: questions, answers, what is allowed and what is refused."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rnnmodels.config import Settings
from tasks.contract.profile import Profile

JSON_TYPES: dict[type, str] = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "an array",
    str: "a string",
    type(None): "null",
}


class Caps(Settings):
    """What a question may hold; a kind adds caps of its own, and an error that a cap causes names it."""

    batch_items: int = Field(
        64, ge=1, le=1_000_000, description="Items of waiting requests, such as texts, that are answered together."
    )


class Question(BaseModel):
    """A request's body, which pydantic reads as it is: no text counts as a number, and no field is unknown.

    A kind adds its fields, first the list of what it asks about; `model_config` gets an example.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    @property
    def items(self) -> list[Any]:
        """The items, such as texts, that it asks about: its first field holds them."""
        return getattr(self, next(iter(type(self).model_fields)))

    @property
    def num_items(self) -> int:
        """How many items it asks about."""
        return len(self.items)

    @abstractmethod
    def check(self, caps: Any, /) -> None:  # noqa: ANN401 (a kind's own caps)
        """Raise FieldError naming the first field that is beyond a cap."""


class Answer(BaseModel):
    """What a question gets; a kind adds what the version `model` answered."""

    model: str


class ModelState(BaseModel):
    """The version that answers, since when, and the alias it follows; a kind adds what one must know to ask it."""

    model: str
    follows: str | None
    loaded: str
    limits: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Interface:
    """What the page of the service says of a kind's models.

    purpose: what the service does, as in `Classifies texts`. summary and description: of the address to ask at.
    items: the plural of what a question asks about, as in `texts`. sample: a short question, in JSON.
    caps: what a question may hold. question, answer, state: shapes of a body, of what it gets, and of what `/v1/model`
    shows.
    """

    purpose: str
    summary: str
    description: str
    items: str
    sample: str
    caps: type[Caps]
    question: type[Question]
    answer: type[Answer]
    state: type[ModelState]


@dataclass
class FieldError(Exception):
    """A field of a question that is missing, unknown, of another type, beyond a cap or of no use to the model.

    `place` names it as in `texts[3]`; it is None where no field is meant.
    """

    place: str | None
    problem: str
    fix: str
    code: str = "E-SRV-013"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What each of several questions got: the fields that its kind adds to `Answer`, or a fault.

    profiles: what the items looked like, of one or more questions each; none where a kind has no profiles.
    """

    answers: Sequence[dict[str, Any] | FieldError]
    profiles: Sequence[Profile] = ()
