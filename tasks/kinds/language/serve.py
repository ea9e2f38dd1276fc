"""Texts to score and prompts to continue that come over HTTP: the shapes of questions and answers, and caps."""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, JsonValue

from rnnmodels.language.sampling import Sampling
from tasks.contract import interface
from tasks.contract.interface import (
    Answer,
    Answered,
    Interface,
    ModelState,
    Order,
    Piece,
    RequestError,
    StreamedAddress,
    with_example,
)
from tasks.errors import InputError
from tasks.kinds.language.profile import profile_texts
from tasks.kinds.language.served_language_model import ServedLanguageModel, read_sampling

SAMPLE = '{"texts": ["..."]}'
SHORTEN = "shorten the text."
SCORE: dict[str, JsonValue] = {
    "nats_per_char": 1.52,
    "nats": 31.9,
    "num_chars": 21,
    "num_tokens": 21,
    "perplexity": 4.57,
}
GENERATED: dict[str, JsonValue] = {
    "model": "shakespeare/3",
    "generated_text": " the morning come,\nAnd",
    "num_tokens": 22,
    "finish_reason": "length",
    "seed": 7,
}
EVENTS = (
    'data: {"text": " the"}\n\ndata: {"text": " morning"}\n\n...\n\n'
    'data: {"model": "shakespeare/3", "generated_text": " the morning come,\\nAnd", "num_tokens": 22, '
    '"finish_reason": "length", "seed": 7}\n\n'
)


class Caps(interface.Caps):
    """What a question about texts, or a prompt, may hold."""

    batch_items: int = Field(
        100_000, ge=1, le=100_000_000, description="Characters of waiting requests that are scored together."
    )
    max_texts: int = Field(256, ge=1, le=100_000, description="Texts of a request.")
    max_characters: int = Field(100_000, ge=1, le=100_000_000, description="Characters of a request's texts together.")
    max_prompt_characters: int = Field(20_000, ge=1, le=10_000_000, description="Characters of a prompt.")
    max_length: int = Field(10_000, ge=1, le=1_000_000, description="Tokens that a request may ask to be written.")


class Question(interface.Question):
    """Texts to score."""

    model_config = with_example({"texts": ["Before we proceed any further, hear me speak."]})

    texts: list[str] = Field(min_length=1, description="Raw texts; each is read from its beginning.")

    @property
    def num_items(self) -> int:
        """How many characters it asks about."""
        return sum(map(len, self.texts))

    def check(self, caps: Caps) -> None:
        """Raise RequestError naming what is over a cap."""
        caps.check("max_texts", len(self.texts), "texts", place="texts")
        caps.check("max_characters", self.num_items, "characters", place="texts")


class Score(BaseModel):
    """What a text costs the model.

    Nats per character compare across models, whatever their tokens are: the cost of spelling unknown tokens is
    included. Perplexity is per token, without that cost. The end of a text counts as a character where the model
    learned ends. Both are null for an empty text without an end.
    """

    model_config = with_example(SCORE)

    nats_per_char: float | None
    nats: float
    num_chars: int
    num_tokens: int
    perplexity: float | None


class ScoreAnswer(Answer):
    """One score per text, in their order, all by the version `model`."""

    model_config = with_example({"model": "shakespeare/3", "predictions": [SCORE]})

    predictions: list[Score]


class Prompt(Order, Sampling):
    """A text to continue, and how."""

    model_config = with_example({"prompt": "Good morrow, ", "length": 100, "temperature": 0.8, "seed": 7})

    prompt: str = Field("", description="What the text follows; empty for the beginning of a new one.")

    def check(self, caps: Caps) -> None:
        """Raise RequestError naming what is over a cap."""
        caps.check("max_prompt_characters", len(self.prompt), "characters", place="prompt", fix="shorten the prompt.")
        caps.check("max_length", self.length, "tokens", place="length", fix="ask for fewer, and go on from there.")


class GeneratedPiece(BaseModel):
    """What was written since the piece before."""

    text: str


class GeneratedText(Answer):
    """All that was written after the prompt, and how it ended.

    `finish_reason` is `length`, or `end` where the model ended the text itself. The same request with this `seed`
    gives the same text on the same machine.
    """

    model_config = with_example(GENERATED)

    generated_text: str
    num_tokens: int
    finish_reason: str
    seed: int


class LanguageState(ModelState):
    """The version that answers, since when, the alias it follows, and what its tokens are."""

    tokenizer: str
    vocabulary_size: int
    reads_backward: bool


def load_model(parts: Path, /) -> ServedLanguageModel:
    """Read a registered language model.

    Raises IntegrityError (E-INT-001).
    """
    return ServedLanguageModel.load(parts)


def warm_up(model: ServedLanguageModel, /) -> bool:
    """Score a text and write one; returns whether what it costs is finite."""
    if not model.is_backward:
        list(model.generate(length=2))
    return model.score_texts(["a", ""])["nats"].is_finite().all()


def describe_model(model: ServedLanguageModel, /) -> dict[str, Any]:
    """Tokenizer, size of the vocabulary, and direction."""
    vocabulary = model.vocabulary
    return {
        "tokenizer": vocabulary.tokenizer,
        "vocabulary_size": vocabulary.size,
        "reads_backward": model.is_backward,
    }


def answer_questions(
    model: ServedLanguageModel,
    questions: Sequence[Question],
    caps: Caps,  # noqa: ARG001 (were checked as the questions came)
    /,
    *,
    label: str,  # noqa: ARG001 (texts leave nothing to come back to)
) -> Answered:
    """Score the texts of several questions at once."""
    read = model.reader.read([text for question in questions for text in question.texts])
    scores = model.score(read)
    rows = iter(map(to_score, scores.to_dicts()))
    answers = [{"predictions": [next(rows) for _ in question.texts]} for question in questions]
    return Answered(answers=answers, profiles=[profile_texts(read.ids, scores)])


def to_score(row: dict[str, Any]) -> dict[str, Any]:
    """A row of scores as JSON has it."""
    num_chars, num_tokens, nats, spelling_nats = row.values()
    return {
        "nats_per_char": nats / num_chars if num_chars else None,
        "nats": nats,
        "num_chars": num_chars,
        "num_tokens": num_tokens,
        "perplexity": float(np.exp((nats - spelling_nats) / num_tokens)) if num_tokens else None,
    }


def continue_prompt(
    model: ServedLanguageModel,
    order: Prompt,
    caps: Caps,  # noqa: ARG001 (were checked as the prompt came)
    /,
) -> Generator[Piece | None, None, dict[str, Any]]:
    """Yield what follows a prompt, and return the whole; raises RequestError for a prompt that is not known."""
    sampling = read_sampling({name: getattr(order, name) for name in Sampling.model_fields})
    writing, pieces, written = model.write(order.prompt, sampling), [], None
    while written is None:
        try:
            pieces.append(next(writing))
        except StopIteration as end:
            written = end.value
        except InputError as error:
            raise RequestError("prompt", error.problem, error.fix, error.code) from None
        else:
            yield {"text": pieces[-1]} if pieces[-1] else None
    return {
        "generated_text": "".join(pieces),
        "num_tokens": written.num_tokens,
        "finish_reason": "end" if written.has_ended else "length",
        "seed": written.seed,
    }


GENERATE = StreamedAddress(
    path="/v1/generate",
    summary="Continue a prompt",
    description="Write what follows a prompt. The text is sent as it is written, in server-sent events: pieces, and "
    "last the whole answer. With `stream` false the whole answer is all that is sent.",
    items="characters",
    sample='{"prompt": "..."}',
    question=Prompt,
    answer=GeneratedText,
    piece=GeneratedPiece,
    events=EVENTS,
    begin=continue_prompt,
)
INTERFACE = Interface(
    purpose="Scores and continues texts",
    summary="Score texts",
    description="Return what each text costs the model, in their order, and the model version that read them.",
    items="texts",
    sample=SAMPLE,
    caps=Caps,
    question=Question,
    answer=ScoreAnswer,
    state=LanguageState,
    streams=(GENERATE,),
)
