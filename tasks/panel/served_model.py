"""A registered model that takes a table: MLflow runs this file wherever it is loaded, without this repository."""

import warnings
from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from tasks.registry.served_parts import load_served


class ServedPanelModel(PythonModel):
    """A table to a table of answers."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model once, when MLflow loads it."""
        self.model = load_served(Path(context.artifacts["parts"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002  # ty: ignore[incompatible-method-override] (MLflow needs no `params`)
        """Answer a table with the columns that the model was trained on, the label aside.

        What was done to its rows is said by warnings. Raises InputError, as the reading of the training rows did.
        """
        notes: list[str] = []
        answers = self.model.answer_frame(model_input, notes=notes)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return answers.to_pandas()


set_model(ServedPanelModel())
