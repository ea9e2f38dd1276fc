"""How the models of a kind are queried over HTTP: questions, answers, caps and refusals."""

from abc import abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

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

BodyT = TypeVar("BodyT", bound="Body")


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


class Body(BaseModel):
    """A request's body, read strictly by pydantic: no text counts as a number, and no field is unknown.

    A kind adds its fields, and an example by `with_example`.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    @abstractmethod
    def check(self, caps: Any, /) -> None:  # noqa: ANN401 (a kind's own caps)
        """Raise RequestError naming the first field that is over a cap."""


class Question(Body):
    """A body that asks about several items; the first field that a kind adds is their list."""

    @property
    def items(self) -> list[Any]:
        """The items, such as texts, that it asks about: its first field holds them."""
        return getattr(self, next(iter(type(self).model_fields)))

    @property
    def num_items(self) -> int:
        """How many items it asks about."""
        return len(self.items)


class Order(Body):
    """A body that asks for an answer which takes long: it is sent in pieces while it is made, or whole."""

    stream: bool = Field(True, description="Send pieces while they are made; false for the whole answer alone.")


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
class Address(Generic[BodyT]):
    """What the documentation page of the service says about an address.

    items: the plural of what a body asks about, as in `texts`. sample: a short body, in JSON. question and answer:
    shapes of a body and of what it gets.
    """

    summary: str
    description: str
    items: str
    sample: str
    question: type[BodyT]
    answer: type[Answer]


Piece = Mapping[str, Any]
Pieces = Generator[Piece | None, None, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class StreamedAddress(Address[Order]):
    """A further address of a kind, whose answers are made piece by piece.

    path: as in `/v1/generate`. piece: the shape of a piece. events: what a client receives, as an example.
    begin: given a model, a question and the caps, the pieces of the answer, and at their end the fields that `answer`
    has beyond `Answer`. It yields often, None where there is no piece yet, since other requests wait meanwhile; before
    the first it raises RequestError for what it refuses.
    """

    path: str
    piece: type[BaseModel]
    events: str
    begin: Callable[[Any, Any, Any], Pieces]


@dataclass(frozen=True, kw_only=True)
class Interface(Address[Question]):
    """What the documentation page of the service says about a kind's models, and about `/v1/predict`.

    purpose: what the service does, as in `Classifies texts`. caps: what a question may hold. state: the shape of what
    `/v1/model` shows. streams: further addresses.
    """

    purpose: str
    caps: type[Caps]
    state: type[ModelState]
    streams: Sequence[StreamedAddress] = ()


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What each of several questions got: the fields that its kind adds to `Answer`, or an error.

    profiles: what the items looked like, of one or more questions each; none where a kind has no profiles.
    """

    answers: Sequence[dict[str, Any] | RequestError]
    profiles: Sequence[Profile] = ()
