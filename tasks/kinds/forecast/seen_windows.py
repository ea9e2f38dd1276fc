"""What a forecaster sees, window by window, and how far off it was where later steps show what came true.

This module travels with the registered model. B windows, L steps of look-back, H steps of the horizon, C channels,
D covariates, O outputs: the point, then the quantiles.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tasks.kinds.forecast.histories import History
from tasks.panel.profile import PLACE, window_steps

if TYPE_CHECKING:
    from rnnmodels.forecasters.forecaster import SequenceForecaster

# About this many windows of all histories are examined, and one forecast of each that came true.
MOST_WINDOWS = 64
WINDOWS_AT_ONCE = 256

# A history, and how many of its steps lie before a forecast.
End = tuple[History, int]


def count_windows(rows: pl.DataFrame, most: int = MOST_WINDOWS) -> int:
    """How many windows of each series are looked at."""
    return max(2, most // max(1, rows["series"].n_unique()))


def tabulate_windows(
    model: "SequenceForecaster", histories: Sequence[History], outputs_BHCO: np.ndarray, channels: Sequence[str]
) -> pl.DataFrame:
    """Describe the windows of histories, of which the newest were forecast already, in scaled units.

    Columns as `tasks.panel.profile.profile_windows` takes them: level and spread of a window, how far the mean forecast
    lies from the last value, and the mean absolute error of the forecast where the history has what came true.
    """
    look_back, step = model.shape.look_back, window_steps(model.shape.look_back, model.shape.horizon)
    earlier = [
        (history, end) for history in histories for end in range(len(history.values) - step, look_back - 1, -step)
    ]
    parts = [earlier[start : start + WINDOWS_AT_ONCE] for start in range(0, len(earlier), WINDOWS_AT_ONCE)]
    outputs = [outputs_BHCO, *(forecast_from(model, part) for part in parts)]
    ends = [(history, len(history.values)) for history in histories] + earlier
    windows = [
        _describe(history, end, point_HC, size=min(step, look_back))
        for (history, end), point_HC in zip(ends, (one[..., 0] for batch in outputs for one in batch), strict=True)
    ]
    names = [name for name in windows[0] if name not in (*PLACE, "missing")]
    return pl.DataFrame(
        {name: [window[name] for window in windows] for name in (*PLACE, "missing")}
        | {
            f"{name}.{channel}": [window[name][index] for window in windows]
            for name in names
            for index, channel in enumerate(channels)
        }
    )


def forecast_from(model: "SequenceForecaster", ends: Sequence[End]) -> np.ndarray:
    """Scaled forecasts of what follows the first steps of histories, float32 [B, H, C, O]."""
    from rnnmodels.forecasters.forecasts import forecast_arrays

    look_back, horizon = model.shape.look_back, model.shape.horizon
    values_BLC = np.stack([history.values[end - look_back : end] for history, end in ends])
    covariates_BTD = np.stack([history.covariates[end - look_back : end + horizon] for history, end in ends])
    return forecast_arrays(model, values_BLC, covariates_BTD)


def _describe(history: History, end: int, point_HC: np.ndarray, *, size: int) -> dict[str, Any]:
    """One window of a history, the last `size` steps before an end, and the forecast from there."""
    window, truth_HC = slice(end - size, end), history.values[end : end + len(point_HC)]
    is_known = len(truth_HC) == len(point_HC)
    return {
        "series": history.starting.series,
        "begin": history.stamps[window][0],
        "end": history.stamps[window][-1],
        "missing": history.missing[window].mean(),
        "level": history.values[window].mean(axis=0),
        "spread": history.values[window].std(axis=0),
        "change": point_HC.mean(axis=0) - history.values[end - 1],
        "error": np.abs(truth_HC - point_HC).mean(axis=0) if is_known else np.full(point_HC.shape[1], np.nan),
    }
