"""Texts sent over HTTP: the shapes of questions and answers, and caps."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, JsonValue

from tasks.contract import interface
from tasks.contract.interface import Answer, Answered, Interface, ModelState, RequestError, with_example
from tasks.kinds.classify.classifier import Reading, TextClassifier

TEXTS: list[JsonValue] = ["One of the best films of the year.", "Dull from start to finish."]
SHORTEN = "shorten the text."
SMOKE_TEXTS = ["One of the best films of the year.", ""]
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


class Prediction(BaseModel):
    """The most probable label of a text and the probability of every label.

    `tokens` counts those of the text before it is cut for the model; `oov_share` is the share that it does not know.
    """

    model_config = with_example(PREDICTION)

    label: str
    probabilities: dict[str, float]
    tokens: int
    truncated: bool
    oov_share: float


class PredictAnswer(Answer):
    """One prediction per text, in their order, all by the version `model`."""

    model_config = with_example({"model": "reviews/3", "predictions": [PREDICTION]})

    predictions: list[Prediction]


class ModelAnswer(ModelState):
    """The version that answers, since when, and the alias it follows."""

    labels: list[str]
    max_length: int
    keep: str


INTERFACE = Interface(
    purpose="Classifies texts",
    summary="Classify texts",
    description="Return a prediction per text, in their order, and the model version that made them.",
    items="texts",
    sample='{"texts": ["..."]}',
    caps=Caps,
    question=Question,
    answer=PredictAnswer,
    state=ModelAnswer,
)


def load_model(parts: Path) -> TextClassifier:
    """Read a registered classifier.

    Raises IntegrityError (E-INT-001).
    """
    return TextClassifier.load(parts)


def warm_up(classifier: TextClassifier) -> bool:
    """Have a classifier answer once; returns whether its probabilities are finite."""
    return bool(np.isfinite(classifier.predict_probabilities(SMOKE_TEXTS)).all())


def describe_model(classifier: TextClassifier) -> dict[str, Any]:
    """Labels, and how texts are cut."""
    serving = classifier.serving
    return {"labels": list(classifier.labels), "max_length": serving.max_length, "keep": serving.keep}


def answer_questions(
    classifier: TextClassifier,
    questions: Sequence[Question],
    caps: Caps,
    *,
    label: str,  # noqa: ARG001 (nothing of a text is kept)
) -> Answered:
    """Classify the texts of several questions at once; one with a text over `max_tokens` gets an error."""
    reading = classifier.read([text for question in questions for text in question.texts])
    probabilities = classifier.score(reading)
    predictions = describe_predictions(classifier, reading, probabilities)
    ends = accumulate(question.num_items for question in questions)
    parts = (predictions[end - asked.num_items : end] for end, asked in zip(ends, questions, strict=True))
    profile = classifier.profile(reading, probabilities)
    return Answered(answers=[_answer(part, caps) for part in parts], profiles=[profile])


def describe_predictions(classifier: TextClassifier, reading: Reading, probabilities: np.ndarray) -> list[dict]:
    """Lay out one prediction per text."""
    labels, max_length = classifier.labels, classifier.serving.max_length
    best = probabilities.argmax(axis=1).tolist()
    rows = zip(best, probabilities.tolist(), reading.length.tolist(), reading.oov_share.tolist(), strict=True)
    return [
        {
            "label": labels[index],
            "probabilities": dict(zip(labels, row, strict=True)),
            "tokens": length,
            "truncated": length > max_length,
            "oov_share": oov_share,
        }
        for index, row, length, oov_share in rows
    ]


def _answer(predictions: list[dict], caps: Caps) -> dict[str, Any] | RequestError:
    try:
        for index, prediction in enumerate(predictions):
            caps.check("max_tokens", prediction["tokens"], "tokens", place=f"texts[{index}]", fix=SHORTEN)
    except RequestError as error:
        return error
    return {"predictions": predictions}
