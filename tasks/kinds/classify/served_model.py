"""The registered model's code: MLflow runs this file wherever the model is loaded, without this repository."""

from pathlib import Path

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from pydantic import BaseModel

from tasks.kinds.classify.classifier import TextClassifier


class Answer(BaseModel):
    """The most probable class of a text, and the probability of every class."""

    label: str
    probabilities: dict[str, float]


class ServedTextClassifier(PythonModel):
    """Raw texts to one answer each."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the classifier once, when MLflow loads the model."""
        self.classifier = TextClassifier.load(Path(context.artifacts["parts"]))

    def predict(self, context: PythonModelContext, model_input: list[str]) -> list[Answer]:  # noqa: ARG002  # ty: ignore[incompatible-method-override] (MLflow needs no `params`)
        """Classify texts; raises InputError (E-TEXT-001) naming the first that cannot be read."""
        labels = self.classifier.labels
        return [
            Answer(label=labels[row.argmax()], probabilities=dict(zip(labels, row.tolist(), strict=True)))
            for row in self.classifier.predict_probabilities(model_input)
        ]


set_model(ServedTextClassifier())
