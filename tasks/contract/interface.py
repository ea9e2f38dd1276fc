"""How the models of a kind are queried over HTTP: questions, answers, caps and refusals."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

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


FEWER = "send fewer per request."


@dataclass
class RequestError(Exception):
    """A refused request, with its HTTP status: by default for a field that is missing, unknown, wrong or over a cap.

    `place` names the field as in `texts[3]`; it is None where no field is meant. `headers` go into the response.
    """

    place: str | None
    problem: str
    fix: str
    code: str = "E-SRV-013"
    status: int = 422
    headers: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, JsonValue]:
        """`{"error": {"code", "field", "problem", "fix"}}`; `field` is null where no field is meant."""
        return {"error": {"code": self.code, "field": self.place, "problem": self.problem, "fix": self.fix}}


class Caps(Settings):
    """What a question may hold; a kind adds its own caps, and an error that a cap causes names it."""

    batch_items: int = Field(
        64, ge=1, le=1_000_000, description="Items of waiting requests, such as texts, that are answered together."
    )

    def check(self, cap: str, count: int, noun: str, *, place: str, fix: str = FEWER) -> None:
        """Raise RequestError if a question holds more of something than a cap allows."""
        limit = getattr(self, cap)
        if count > limit:
            raise RequestError(place, f"got {count} {noun}, expected at most {cap} = {limit}.", fix)


def with_example(example: JsonValue) -> ConfigDict:
    """The `model_config` of a shape whose schema shows an example."""
    return ConfigDict(json_schema_extra={"examples": [example]})


class Question(BaseModel):
    """A request's body, read strictly by pydantic: no text counts as a number, and no field is unknown.

    A kind adds its fields, first the list of what it asks about, and an example by `with_example`.
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
        """Raise RequestError naming the first field that is over a cap."""


class Answer(BaseModel):
    """What a question gets; a kind adds what the version `model` answered."""

    model: str


class ModelState(BaseModel):
    """The version that answers, since when, and the alias it follows; a kind adds what clients must know to ask it."""

    model: str
    follows: str | None
    loaded: str
    limits: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Interface:
    """What the documentation page of the service says about a kind's models.

    purpose: what the service does, as in `Classifies texts`. summary and description: of `/v1/predict`.
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


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What each of several questions got: the fields that its kind adds to `Answer`, or an error.

    profiles: what the items looked like, of one or more questions each; none where a kind has no profiles.
    """

    answers: Sequence[dict[str, Any] | RequestError]
    profiles: Sequence[Profile] = ()
