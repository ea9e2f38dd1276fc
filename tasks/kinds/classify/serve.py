"""Texts that come over HTTP: how they are asked about, what may be asked, and what is answered."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tasks.contract.interface import JSON_TYPES, Answer, Answered, Caps, FieldError, Interface, ModelState
from tasks.errors import quoted
from tasks.kinds.classify.classifier import SURROGATE, Reading, TextClassifier

FIELD = "texts"
TEXTS: list[JsonValue] = ["One of the best films of the year.", "Dull from start to finish."]
SMOKE_TEXTS = ["One of the best films of the year.", ""]
PREDICTION: dict[str, JsonValue] = {
    "label": "pos",
    "probabilities": {"neg": 0.03, "pos": 0.97},
    "tokens": 9,
    "truncated": False,
    "oov_share": 0.0,
}


class Question(BaseModel):
    """Texts to classify."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"texts": TEXTS}]})

    texts: list[str] = Field(min_length=1, description="Raw texts; an empty one counts as one unknown token.")


class Prediction(BaseModel):
    """The most probable label of a text and the probability of every label.

    `tokens` counts the text before it is cut for the model, `oov_share` the share of them that the model does not know.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [PREDICTION]})

    label: str
    probabilities: dict[str, float]
    tokens: int
    truncated: bool
    oov_share: float


class PredictAnswer(Answer):
    """One prediction per text, in their order, all by the version `model`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "reviews/3", "predictions": [PREDICTION]}]})

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
    """Have a classifier answer once; tells whether its probabilities are finite."""
    return bool(np.isfinite(classifier.predict_probabilities(SMOKE_TEXTS)).all())


def describe_model(classifier: TextClassifier) -> dict[str, Any]:
    """Labels, and how texts are cut."""
    serving = classifier.serving
    return {"labels": list(classifier.labels), "max_length": serving.max_length, "keep": serving.keep}


def parse_items(question: dict[str, Any], caps: Caps) -> list[str]:
    """Read `{"texts": ["...", ...]}`.

    Raises FieldError for what is no list of texts within the caps.
    """
    unknown = next((name for name in question if name != FIELD), None)
    if unknown is not None:
        raise FieldError(quoted(unknown)[1:-1], f"got an unknown field {quoted(unknown)}.", f'send "{FIELD}" alone.')
    if FIELD not in question:
        raise FieldError(FIELD, "is missing.", f"send {INTERFACE.sample}.")
    texts = question[FIELD]
    if not isinstance(texts, list) or not texts:
        got = "an empty array" if texts == [] else JSON_TYPES[type(texts)]
        raise FieldError(FIELD, f"got {got}, expected an array of at least one text.", "send one text or more.")
    if len(texts) > caps.max_texts:
        raise FieldError(
            FIELD, f"got {len(texts)} texts, expected at most max_texts = {caps.max_texts}.", "send fewer at once."
        )
    for index, text in enumerate(texts):
        _check_text(text, f"{FIELD}[{index}]", caps)
    return texts


def answer_questions(classifier: TextClassifier, questions: Sequence[list[str]], caps: Caps) -> Answered:
    """Classify the texts of several questions at once; one with a text beyond `max_tokens` gets a fault."""
    reading = classifier.read([text for texts in questions for text in texts])
    probabilities = classifier.score(reading)
    predictions = describe_predictions(classifier, reading, probabilities)
    ends = accumulate(map(len, questions))
    answers = [_answer(predictions[end - len(texts) : end], caps) for texts, end in zip(questions, ends, strict=True)]
    return Answered(answers=answers, profile=classifier.profile(reading, probabilities))


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


def _answer(predictions: list[dict], caps: Caps) -> dict[str, Any] | FieldError:
    for index, prediction in enumerate(predictions):
        if prediction["tokens"] > caps.max_tokens:
            problem = f"got {prediction['tokens']} tokens, expected at most max_tokens = {caps.max_tokens}."
            return FieldError(f"{FIELD}[{index}]", problem, "cut the text.")
    return {"predictions": predictions}


def _check_text(text: object, place: str, caps: Caps) -> None:
    if not isinstance(text, str):
        raise FieldError(place, f"got {JSON_TYPES[type(text)]}, expected a text.", "send a string, or leave it out.")
    if len(text) > caps.max_characters:
        raise FieldError(
            place,
            f"got {len(text)} characters, expected at most max_characters = {caps.max_characters}.",
            "cut the text.",
        )
    if SURROGATE.search(text):
        raise FieldError(place, "holds half a surrogate pair, expected valid Unicode.", "mend or remove it.")
