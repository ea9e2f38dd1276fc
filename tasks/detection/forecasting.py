"""What a forecaster said of rows far ahead, before anything happened there.

A forecast one row ahead follows an anomaly at once, and calls the way back another. A forecast far ahead does not; so a
row is held against what the forecaster said of it `horizon` rows before.
Shapes: N rows, B windows, T = L + H rows, L look-back, H horizon, C channels, D features of the calendar.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rnnmodels.forecaster import SequenceForecaster
    from rnnmodels.windows import Windows

ROWS_AT_ONCE = 1024
# Matrix products add up otherwise in a block that is not full, so that what is said of a row would depend, in its last
# bits, on how many come with it.
BLOCK_ROWS = 8


def forecast_windows(model: "SequenceForecaster", windows: "Windows") -> NDArray[np.float32]:
    """Forecast the last row of each window (windows, C)."""
    forecasts_NC = np.empty((windows.num_rows, windows.shape.num_channels), np.float32)
    for batch in windows.batches(ROWS_AT_ONCE):
        forecasts_NC[batch.row] = forecast_last(model, batch.history, batch.covariates)
    return forecasts_NC


def forecast_rows(
    model: "SequenceForecaster",
    levels_NC: NDArray[np.float32],
    calendar_ND: NDArray[np.float32],
    positions: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Forecast each row of a series from those up to H before it (N, C); before its first row it stood still.

    Of some rows alone, given by their positions, the forecasts are (positions, C).
    """
    num_before = model.shape.num_steps - 1
    padded = (np.concatenate([np.repeat(table[:1], num_before, axis=0), table]) for table in (levels_NC, calendar_ND))
    windows_NTC, windows_NTD = (
        sliding_window_view(table, model.shape.num_steps, axis=0).transpose(0, 2, 1) for table in padded
    )
    history_NLC = windows_NTC[:, : model.shape.look_back]
    wanted = np.arange(len(levels_NC)) if positions is None else positions
    forecasts = np.empty((len(wanted), levels_NC.shape[1]), np.float32)
    for start in range(0, len(wanted), ROWS_AT_ONCE):
        rows = wanted[start : start + ROWS_AT_ONCE]
        batch = (np.ascontiguousarray(table[rows]) for table in (history_NLC, windows_NTD))
        forecasts[start : start + ROWS_AT_ONCE] = forecast_last(model, *batch)
    return forecasts


def forecast_last(
    model: "SequenceForecaster", history_BLC: NDArray[np.float32], covariates_BTD: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Forecast the last row of windows (B, C), to the last bit the same however many there are."""
    from rnnmodels.forecasts import forecast_arrays

    num_windows = len(history_BLC)
    blocks = (
        np.concatenate([table, np.repeat(table[-1:], -num_windows % BLOCK_ROWS, axis=0)])
        for table in (history_BLC, covariates_BTD)
    )
    return forecast_arrays(model, *blocks)[:num_windows, -1, :, 0]
