"""The registered classifier's code: MLflow runs this file wherever the model is loaded, without this repository."""

from pathlib import Path

import pandas as pd
import polars as pl
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from tasks.kinds.classify_series.classifier import SequenceLabeller


class ServedSequenceLabeller(PythonModel):
    """A table of sequences to one answer each."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the classifier once, when MLflow loads the model."""
        self.labeller = SequenceLabeller.load(Path(context.artifacts["parts"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002  # ty: ignore[incompatible-method-override] (MLflow needs no `params`)
        """Label every sequence of a table with the columns it was trained on, label aside.

        Raises InputError, as the reading of the training rows did.
        """
        return self.labeller.answer_frame(pl.from_pandas(model_input)).to_pandas()


set_model(ServedSequenceLabeller())
