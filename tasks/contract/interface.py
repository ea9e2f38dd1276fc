"""How the models of a kind are asked over HTTP: questions, answers, what is allowed and what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

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
    """What a question may hold; an error that a cap causes names it. A kind without texts counts its items alone."""

    max_texts: int = Field(256, ge=1, le=100_000, description="Texts, or other items, in a request.")
    max_characters: int = Field(1_000_000, ge=1, le=1_000_000, description="Characters of a text.")
    max_tokens: int = Field(1_000_000, ge=1, le=1_000_000, description="Tokens of a text, before it is cut.")


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
    question, answer, state: shapes of a body, of what it gets, and of what `/v1/model` shows.
    """

    purpose: str
    summary: str
    description: str
    items: str
    sample: str
    question: type[BaseModel]
    answer: type[Answer]
    state: type[ModelState]


@dataclass
class FieldError(Exception):
    """A field of a question that is missing, unknown, of another type or beyond a cap, named as in `texts[3]`."""

    place: str
    problem: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What each of several questions got: the fields that its kind adds to `Answer`, or a fault.

    profile: what all items looked like; None where a kind has no profiles.
    """

    answers: Sequence[dict[str, Any] | FieldError]
    profile: Profile | None = None
