"""A registered classifier of texts: MLflow runs this file wherever the model is loaded, without this repository."""

from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from pydantic import BaseModel

from tasks.registry.served_parts import load_served
from tasks.text.given_texts import texts_of


class Answer(BaseModel):
    """The most probable class of a text, and the probability of every class."""

    label: str
    probabilities: dict[str, float]


class ServedTextClassifier(PythonModel):
    """Raw texts to one answer each."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the classifier once, when MLflow loads the model."""
        self.model = load_served(Path(context.artifacts["parts"]))

    # MLflow makes a list of the first column of a table unless `predict` asks for a table; then lists come unchanged.
    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> list[Answer]:  # noqa: ARG002  # ty: ignore[incompatible-method-override] (MLflow needs no `params`)
        """Classify a list of texts, or a table with the text columns of training; raises InputError as `texts_of`."""
        texts = texts_of(model_input, self.model.serving.settings)
        probabilities = self.model.predict_probabilities(texts)
        return [Answer(**answer) for answer in self.model.to_answers(probabilities)]


set_model(ServedTextClassifier())
