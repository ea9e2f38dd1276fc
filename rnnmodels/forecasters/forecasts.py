"""Forecasts as arrays and files: the point, then the quantiles, in float32 and in the units of the windows.

Shapes: B windows, T = L + H steps, L look-back, H horizon, C channels, D covariates, O = 1 + number of quantiles.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmodels.forecasters.forecaster import SequenceForecaster
from rnnmodels.forecasters.windows import WindowBatch, Windows
from rnnmodels.training.evaluation import evaluating

ForecastBatch = Callable[[WindowBatch], NDArray[np.float32]]


def forecast_arrays(
    model: SequenceForecaster, history_BLC: NDArray[np.float32], covariates_BTD: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Forecast from histories and what is known of all steps, returning (B, H, C, O)."""
    # Copies in memory of torch's own are aligned alike in every call, which numpy's arrays are not.
    inputs = (torch.tensor(values, device=model.recurrent_weight.device) for values in (history_BLC, covariates_BTD))
    with evaluating(model):
        forecast = model(*inputs)
        outputs = torch.cat([forecast.location[..., None], model.output.quantiles(forecast)], dim=-1)
    return outputs.cpu().numpy()


def predict_windows(model: SequenceForecaster, windows: Windows, path: Path, *, batch_size: int = 256) -> None:
    """Forecast every window into a file .npy (windows, H, C, O), in stored order."""
    write_forecasts(
        path,
        windows,
        lambda batch: forecast_arrays(model, batch.history, batch.covariates),
        num_outputs=1 + len(model.architecture.forecast_levels),
        batch_size=batch_size,
    )


def write_forecasts(
    path: Path, windows: Windows, forecast: ForecastBatch, *, num_outputs: int = 1, batch_size: int = 256
) -> None:
    """Write the forecasts of all windows, batch by batch, so that memory does not depend on their number."""
    shape = (windows.num_rows, windows.shape.horizon, windows.shape.num_channels, num_outputs)
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for batch in windows.batches(batch_size):
            outputs = np.ascontiguousarray(forecast(batch), np.float32).reshape(len(batch.row), *shape[1:])
            file.write(outputs.data)
