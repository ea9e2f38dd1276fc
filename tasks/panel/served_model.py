"""A registered model that takes a table: MLflow runs this file wherever it is loaded, without this repository."""

from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from tasks.registry.served_parts import load_served


class ServedPanelModel(PythonModel):
    """A table to a table of answers."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model once, when MLflow loads it."""
        self.labeller = load_served(Path(context.artifacts["parts"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002  # ty: ignore[incompatible-method-override] (MLflow needs no `params`)
        """Answer a table with the columns that the model was trained on, the label aside.

        Raises InputError, as the reading of the training rows did.
        """
        return self.labeller.answer_frame(model_input).to_pandas()


set_model(ServedPanelModel())
