"""The registered forecaster's code: MLflow runs this file wherever the model is loaded, without this repository."""

import warnings
from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from tasks.kinds.forecast.forecaster import SeriesForecaster


class ServedForecaster(PythonModel):
    """The history of series to their next values."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the forecaster once, when MLflow loads the model."""
        self.forecaster = SeriesForecaster.load(Path(context.artifacts["parts"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002  # ty: ignore[incompatible-method-override] (MLflow needs no `params`)
        """Forecast every series of a table with the columns it was trained on.

        What was done to its rows is said by warnings. Raises InputError, as the reading of the training rows did.
        """
        notes: list[str] = []
        forecasts = self.forecaster.answer_frame(model_input, notes=notes)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return forecasts.to_pandas()


set_model(ServedForecaster())
