"""Texts sent over HTTP: the shapes of questions and answers, and caps."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field, JsonValue

from tasks.contract import interface
from tasks.contract.interface import Answer, Interface, with_example
from tasks.kinds.classify.classifier import TextClassifier
from tasks.labelled import serve
from tasks.labelled.labeller import Labeller, ReadRows
from tasks.labelled.serve import LabelledService, LabelledState

TEXTS: list[JsonValue] = ["One of the best films of the year.", "Dull from start to finish."]
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
    """Texts to classify."""

    model_config = with_example({"texts": TEXTS})

    texts: list[str] = Field(min_length=1, description="Raw texts; an empty one counts as one unknown token.")

    def check(self, caps: Caps) -> None:
        """Raise RequestError naming what is over a cap; tokens are counted when the texts are read."""
        caps.check("max_texts", len(self.texts), "texts", place="texts")
        for index, text in enumerate(self.texts):
            caps.check("max_characters", len(text), "characters", place=f"texts[{index}]", fix=SHORTEN)


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
    sample='{"texts": ["..."]}',
    caps=Caps,
    question=Question,
    answer=PredictAnswer,
    state=LabelledState,
)
SERVICE = TextService(INTERFACE=INTERFACE, labeller=TextClassifier, samples=["One of the best films of the year.", ""])
