"""The registered detector's code: MLflow runs this file wherever the model is loaded, without this repository."""

import warnings
from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from tasks.kinds.detect.served_detector import SeriesDetector


class ServedDetector(PythonModel):
    """Rows of series to their anomaly scores."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the detector once, when MLflow loads the model."""
        self.detector = SeriesDetector.load(Path(context.artifacts["parts"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002  # ty: ignore[incompatible-method-override] (MLflow needs no `params`)
        """Judge every series of a table with the columns it was trained on, the label aside.

        What is to be known of its rows is said by warnings. Raises InputError, as the reading of the training rows did.
        """
        notes: list[str] = []
        answers = self.detector.answer_frame(model_input, notes=notes)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return answers.to_pandas()


set_model(ServedDetector())
