"""Texts sent over HTTP: the shapes of questions and answers, and caps."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field, JsonValue

from tasks.contract import interface
from tasks.contract.interface import JSON_TYPES, Answer, Interface, RequestError, with_example
from tasks.errors import quoted
from tasks.kinds.classify.classifier import TextClassifier
from tasks.labelled import serve
from tasks.labelled.labeller import Labeller, ReadRows
from tasks.labelled.serve import LabelledService, LabelledState
from tasks.text.joined import text_of
from tasks.text.source import TextSource

TEXTS: list[JsonValue] = ["One of the best films of the year.", "Dull from start to finish."]
SAMPLE = '{"texts": ["..."]}'
SHORTEN = "shorten the text."
PREDICTION: dict[str, JsonValue] = {
    "label": "pos",
    "probabilities": {"neg": 0.03, "pos": 0.97},
    "tokens": 9,
    "truncated": False,
    "oov_share": 0.0,
}


class Caps(interface.Caps):
    """What a question about texts may hold."""

    max_texts: int = Field(256, ge=1, le=100_000, description="Texts of a request.")
    max_characters: int = Field(1_000_000, ge=1, le=1_000_000, description="Characters of a text.")
    max_tokens: int = Field(1_000_000, ge=1, le=1_000_000, description="Tokens of a text, before it is cut.")


class Question(interface.Question):
    """Texts to classify, or rows that hold them in the columns of the training rows."""

    model_config = with_example({"texts": TEXTS})

    texts: list[str] = Field([], min_length=1, description="Raw texts; an empty one counts as one unknown token.")
    rows: list[dict[str, JsonValue]] = Field(
        [],
        min_length=1,
        description="Rows by column, in place of texts; other columns than those of texts are ignored.",
    )

    @property
    def items(self) -> list[Any]:
        """The texts or the rows."""
        return self.texts or self.rows

    def check(self, caps: Caps) -> None:
        """Raise RequestError naming what is over a cap; tokens are counted when the texts are read."""
        if not self.items:
            raise RequestError("texts", "is missing.", f"send {SAMPLE}.")
        if self.texts and self.rows:
            raise RequestError("rows", "got rows and texts, expected one of the two.", f"send {SAMPLE}.")
        place = "texts" if self.texts else "rows"
        caps.check("max_texts", len(self.items), place, place=place)
        check_characters(self.texts, caps, place="texts")


def check_characters(texts: Sequence[str], caps: Caps, *, place: str) -> None:
    """Raise RequestError naming the first text over `max_characters`."""
    for index, text in enumerate(texts):
        caps.check("max_characters", len(text), "characters", place=f"{place}[{index}]", fix=SHORTEN)


def text_in_row(row: dict[str, JsonValue], source: TextSource, *, place: str) -> str:
    """The text that a row holds; raises RequestError if it is none."""
    columns = {name: cell for name, cell in row.items() if name in source.text_columns}
    cells = {name: cell for name, cell in columns.items() if isinstance(cell, str | None)}
    for name in columns.keys() - cells.keys():
        got = JSON_TYPES[type(columns[name])]
        raise RequestError(f"{place}.{name}", f"got {got}, expected a string or null.", "send texts as strings.")
    text = text_of(cells, source)
    if text is None:
        expected = ", ".join(map(quoted, source.text_columns))
        raise RequestError(place, f"got no text, expected one in the columns {expected}.", "fill one of them in.")
    return text


class Prediction(serve.Prediction):
    """The most probable label of a text and the probability of every label.

    `tokens` counts those of the text before it is cut for the model; `oov_share` is the share that it does not know.
    """

    model_config = with_example(PREDICTION)

    tokens: int
    truncated: bool
    oov_share: float


class PredictAnswer(Answer):
    """One prediction per text, in their order, all by the version `model`."""

    model_config = with_example({"model": "reviews/3", "predictions": [PREDICTION]})

    predictions: list[Prediction]


class TextService(LabelledService):
    """How a text classifier answers requests; it also says how much of each text it could read."""

    def texts_of(self, model: Labeller[Any], question: Question, caps: Caps) -> Sequence[str]:
        """The texts of a question, joined as in training where it has rows; raises RequestError for one without."""
        if question.texts:
            return question.texts
        source = model.serving.settings
        texts = [text_in_row(row, source, place=f"rows[{index}]") for index, row in enumerate(question.rows)]
        check_characters(texts, caps, place="rows")
        return texts

    def add(self, model: Labeller[Any], read: ReadRows) -> list[dict[str, Any]]:
        """Tokens, whether the text was cut, and the share of unknown tokens."""
        lengths, shares = (read.values[name].tolist() for name in ("length", "oov_share"))
        limit = model.serving.max_length
        return [
            {"tokens": length, "truncated": length > limit, "oov_share": share}
            for length, share in zip(lengths, shares, strict=True)
        ]

    def check(self, predictions: Sequence[dict[str, Any]], caps: Caps) -> None:
        """Raise RequestError naming the first text over `max_tokens`."""
        for index, prediction in enumerate(predictions):
            caps.check("max_tokens", prediction["tokens"], "tokens", place=f"texts[{index}]", fix=SHORTEN)


INTERFACE = Interface(
    purpose="Classifies texts",
    summary="Classify texts",
    description="Return a prediction per text, in their order, and the model version that made them.",
    items="texts",
    sample=SAMPLE,
    caps=Caps,
    question=Question,
    answer=PredictAnswer,
    state=LabelledState,
)
SERVICE = TextService(INTERFACE=INTERFACE, labeller=TextClassifier, samples=["One of the best films of the year.", ""])
