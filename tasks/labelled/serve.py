"""Texts, of whatever form, that come over HTTP: what is answered, and how."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from tasks.contract.interface import Answer, Answered, Interface, ModelState, RequestError
from tasks.labelled.labeller import Labeller, ReadRows


class Prediction(BaseModel):
    """The most probable label of a text and the probability of every label."""

    label: str
    probabilities: dict[str, float]


class LabelledAnswer(Answer):
    """One prediction per text, in their order, all by the version `model`."""

    predictions: list[Prediction]


class LabelledState(ModelState):
    """The version that answers, since when, the alias it follows, and how it cuts texts."""

    labels: list[str]
    max_length: int
    keep: str


@dataclass(frozen=True, kw_only=True)
class LabelledService:
    """How a classifier answers requests about a list of texts.

    labeller: how a registered model is read. samples: texts that it answers before the first request.
    """

    INTERFACE: Interface
    labeller: type[Labeller[Sequence[str]]]
    samples: Sequence[str]

    def load_model(self, parts: Path, /) -> Labeller[Sequence[str]]:
        """Read a registered classifier.

        Raises IntegrityError (E-INT-001).
        """
        return self.labeller.load(parts)

    def warm_up(self, model: Labeller[Sequence[str]], /) -> bool:
        """Have a classifier answer once; returns whether its probabilities are finite."""
        return bool(np.isfinite(model.predict_probabilities(self.samples)).all())

    def describe_model(self, model: Labeller[Any], /) -> dict[str, Any]:
        """Labels, and how texts are cut."""
        return describe_labeller(model)

    def answer_questions(
        self,
        model: Labeller[Sequence[str]],
        questions: Sequence[Any],
        caps: Any,  # noqa: ANN401 (a kind's own)
        /,
        *,
        label: str,  # noqa: ARG002 (texts leave nothing to come back to)
    ) -> Answered:
        """Classify the texts of several questions at once."""
        asked = [self._read_question(model, question, caps) for question in questions]
        texts = [text for part in asked if not isinstance(part, RequestError) for text in part]
        if not texts:
            return Answered(answers=[part for part in asked if isinstance(part, RequestError)], profiles=[])
        read = model.read(texts)
        probabilities = model.score(read)
        answered = zip(model.to_answers(probabilities), self.add(model, read), strict=True)
        predictions = iter([answer | more for answer, more in answered])
        answers = [
            part if isinstance(part, RequestError) else self._answer(list(islice(predictions, len(part))), caps)
            for part in asked
        ]
        return Answered(answers=answers, profiles=[model.profile(read, probabilities)])

    def texts_of(self, model: Labeller[Any], question: Any, caps: Any) -> Sequence[str]:  # noqa: ANN401, ARG002
        """The texts that a question asks about; raises RequestError where the model tells that it has none."""
        return question.items

    def _read_question(self, model: Labeller[Any], question: Any, caps: Any) -> Sequence[str] | RequestError:  # noqa: ANN401
        try:
            return self.texts_of(model, question, caps)
        except RequestError as error:
            return error

    def add(self, model: Labeller[Any], read: ReadRows) -> Sequence[dict[str, Any]]:  # noqa: ARG002 (a kind may know more)
        """What a kind says of each text beyond its label."""
        return [{}] * len(read)

    def check(self, predictions: Sequence[dict[str, Any]], caps: Any) -> None:  # noqa: ANN401
        """Raise RequestError if a text is over a cap that is known only when it was read."""

    def _answer(self, predictions: list[dict[str, Any]], caps: Any) -> dict[str, Any] | RequestError:  # noqa: ANN401
        try:
            self.check(predictions, caps)
        except RequestError as error:
            return error
        return {"predictions": predictions}


def describe_labeller(labeller: Labeller[Any]) -> dict[str, Any]:
    """Labels, and how rows are cut."""
    serving = labeller.serving
    return {"labels": list(labeller.labels), "max_length": serving.max_length, "keep": serving.keep}
