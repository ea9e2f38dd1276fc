"""One forecaster for a panel of series, fitted to their warm-up rows alone, and its errors far ahead.

A forecast one step ahead follows an anomaly at once, and calls the way back another. A forecast far ahead, made before
anything happened, does not; so a row is held against what the forecaster said of it `horizon` rows before.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnnmodels.forecast_config import ForecastArchitecture, ForecastTraining
from tasks.detection.panel import Series, Stretch, write_stretches

if TYPE_CHECKING:
    from rnnmodels.forecaster import SequenceForecaster
    from rnnmodels.windows import Windows

LOOK_BACK = HORIZON = 144
TRAIN_SHARE = 0.6  # of the warm-up rows; the others choose the epoch
WINDOWS_AT_ONCE = 1024
ARCHITECTURE = ForecastArchitecture(
    cell="gru",
    hidden_size=64,
    decoder="segment",
    segment_length=12,
    channel_embedding=False,
    normalization="none",
    line_views=(),
)
TRAINING = ForecastTraining(epochs=4, ema_decay=0.999, patience=3, device="cpu")


def fit_forecaster(
    panel: Sequence[Series],
    folder: Path,
    *,
    architecture: ForecastArchitecture = ARCHITECTURE,
    training: ForecastTraining = TRAINING,
    shape: tuple[int, int] = (LOOK_BACK, HORIZON),
) -> "SequenceForecaster":
    """Fit to the first rows of all series' warm-up, choosing the epoch on the others; files are left in the folder.

    `shape` is look-back and horizon. Series whose warm-up is too short for a window are left to the others.
    """
    from rnnmodels.fitting import fit
    from rnnmodels.forecaster import SequenceForecaster

    look_back, _ = shape
    cuts = [int(TRAIN_SHARE * series.warm_up_rows) for series in panel]
    train = _open(
        folder / "train.arrow",
        [Stretch(series, -look_back, cut) for series, cut in zip(panel, cuts, strict=True)],
        shape,
    )
    valid = _open(
        folder / "valid.arrow",
        [Stretch(series, cut - look_back, series.warm_up_rows) for series, cut in zip(panel, cuts, strict=True)],
        shape,
    )
    model = SequenceForecaster(architecture, train.shape, seed=training.seed)
    model.prepare(train, valid)
    for _ in fit(model, train, valid, training):
        pass
    model.finish(valid, training)
    return model


def forecast_panel(model: "SequenceForecaster", panel: Sequence[Series], folder: Path) -> list[np.ndarray]:
    """What the forecaster said of each row of each series `horizon` rows before, in levels."""
    from rnnmodels.forecasts import forecast_arrays

    shape = (model.shape.look_back, model.shape.horizon)
    context = sum(shape) - 1
    windows = _open(folder / "all.arrow", [Stretch(series, -context, series.num_rows) for series in panel], shape)
    forecasts = np.empty(windows.num_rows, np.float32)
    for batch in windows.batches(WINDOWS_AT_ONCE):
        forecasts[batch.row] = forecast_arrays(model, batch.history, batch.covariates)[:, -1, 0, 0]
    return np.split(forecasts, np.cumsum([series.num_rows for series in panel])[:-1])


def _open(path: Path, stretches: Sequence[Stretch], shape: tuple[int, int]) -> "Windows":
    from rnnmodels.windows import open_windows

    look_back, horizon = shape
    write_stretches(path, stretches)
    return open_windows(path, look_back=look_back, horizon=horizon)
