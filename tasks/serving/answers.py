"""What a client gets: the shapes of all answers, as the OpenAPI page shows them, and how texts become answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tasks.serving.champion import ModelFollower
from tasks.serving.faults import RequestError, bad_field
from tasks.serving.seen_inputs import SeenInputs
from tasks.text.classifier import Reading, TextClassifier

TEXTS: list[JsonValue] = ["One of the best films of the year.", "Dull from start to finish."]
PREDICTION: dict[str, JsonValue] = {
    "label": "pos",
    "probabilities": {"neg": 0.03, "pos": 0.97},
    "tokens": 9,
    "truncated": False,
    "oov_share": 0.0,
}
ERROR: dict[str, JsonValue] = {
    "code": "E-SRV-013",
    "field": "texts[3]",
    "problem": "got null, expected a text.",
    "fix": "send a string.",
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


class PredictAnswer(BaseModel):
    """One prediction per text, in their order, all by the version `model`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "reviews/3", "predictions": [PREDICTION]}]})

    model: str
    predictions: list[Prediction]


class ModelAnswer(BaseModel):
    """The version that answers, since when, and the alias it follows."""

    model: str
    follows: str | None
    loaded: str
    labels: list[str]
    max_length: int
    keep: str
    limits: dict[str, int]


class ReadyAnswer(BaseModel):
    """`degraded` means that an older version goes on answering, because of `problem`."""

    status: str
    model: str
    problem: str | None


class ErrorDetails(BaseModel):
    """What was refused, and how to mend it."""

    code: str
    field: str | None
    problem: str
    fix: str


class ErrorAnswer(BaseModel):
    """A refused request."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"error": ERROR}]})

    error: ErrorDetails


@dataclass(frozen=True, kw_only=True)
class Answerer:
    """Answers lists of texts with the model that is current when a batch begins, and counts what it saw."""

    follower: ModelFollower
    seen: SeenInputs
    max_tokens: int

    def __call__(self, lists: Sequence[list[str]]) -> list[dict | RequestError]:
        """Return an answer, or a fault, for each list of texts."""
        served = self.follower.current
        classifier = served.classifier
        reading = classifier.read([text for texts in lists for text in texts])
        probabilities = classifier.score(reading)
        self.seen.add(served.label, classifier.profile(reading, probabilities))
        predictions = describe_predictions(classifier, reading, probabilities)
        ends = np.cumsum([len(texts) for texts in lists]).tolist()
        return [
            self._answer(served.label, predictions[end - len(texts) : end])
            for texts, end in zip(lists, ends, strict=True)
        ]

    def _answer(self, model: str, predictions: list[dict]) -> dict | RequestError:
        for index, prediction in enumerate(predictions):
            if prediction["tokens"] > self.max_tokens:
                problem = f"got {prediction['tokens']} tokens, expected at most max_tokens = {self.max_tokens}."
                return bad_field(f"texts[{index}]", problem, "cut the text.")
        return {"model": model, "predictions": predictions}


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
