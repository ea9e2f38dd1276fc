"""The registered classifier's code: MLflow runs this file wherever the model is loaded, without this package."""

from pathlib import Path

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from rnnflow_bits.labeller import LineLabeller


class ServedLineLabeller(PythonModel):
    """Lines to the probability of every label."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the classifier once, when MLflow loads the model."""
        self.labeller = LineLabeller.load(Path(context.artifacts["parts"]))

    def predict(self, context: PythonModelContext, model_input: list[str]) -> list[dict[str, float]]:
        """Label lines; raises InputError (E-BITS-002) naming the first that cannot be read."""
        return self.labeller.by_label(self.labeller.predict_probabilities(model_input))


set_model(ServedLineLabeller())
