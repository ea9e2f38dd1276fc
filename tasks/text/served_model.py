"""A registered classifier of texts: MLflow runs this file wherever the model is loaded, without this repository."""

from pathlib import Path

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from pydantic import BaseModel

from tasks.registry.served_parts import load_served


class Answer(BaseModel):
    """The most probable class of a text, and the probability of every class."""

    label: str
    probabilities: dict[str, float]


class ServedTextClassifier(PythonModel):
    """Raw texts to one answer each."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the classifier once, when MLflow loads the model."""
        self.model = load_served(Path(context.artifacts["parts"]))

    def predict(self, context: PythonModelContext, model_input: list[str]) -> list[Answer]:  # noqa: ARG002  # ty: ignore[incompatible-method-override] (MLflow needs no `params`)
        """Classify texts; raises InputError naming the first that cannot be read."""
        probabilities = self.model.predict_probabilities(model_input)
        return [Answer(**answer) for answer in self.model.to_answers(probabilities)]


set_model(ServedTextClassifier())
