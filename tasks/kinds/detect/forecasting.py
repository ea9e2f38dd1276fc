"""What a forecaster said of rows far ahead, before anything happened there.

A forecast one row ahead follows an anomaly at once, and calls the way back another. A forecast far ahead does not; so a
row is held against what the forecaster said of it `horizon` rows before.

What is said of a row must not depend on the rows that come with it, down to the last bit: ranks of errors decide, and
a rank turns on the last bit. Libraries choose the order in which they add up by the size of a block, a row's place in
it, the alignment of memory and the number of threads. So all of these are fixed: a series is cut into blocks at
multiples of `BLOCK_ROWS`, row n is computed at place n modulo that, alone or with its neighbours, rows that are not
asked for are filled in, and one thread does it. No operation of a forecaster mixes rows, so the same instructions meet
the same numbers in the same order, on whatever processor.
Shapes: N rows, B rows of a block, T = L + H rows, L look-back, H horizon, C channels, D features of the calendar.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rnnmodels.forecasters.forecaster import SequenceForecaster
    from rnnmodels.forecasters.windows import Windows

# On a CPU about the fewest rows at which one of many takes no longer; on a GPU a call costs the same for one or many.
BLOCK_ROWS = {"cpu": 32, "cuda": 1024}

# Histories (B, L, C) and calendar (B, T, D) of rows, given their numbers (B).
TakeRows = Callable[[NDArray[np.int64]], tuple[NDArray[np.float32], NDArray[np.float32]]]


def forecast_windows(
    model: "SequenceForecaster", windows: "Windows", rows_of_series: Sequence[int]
) -> NDArray[np.float32]:
    """Forecast the last row of each window (windows, C); each series has the given number of windows, one per row."""
    first_window = np.cumsum([0, *rows_of_series])

    def take_of(first: int) -> TakeRows:
        def take(rows_B: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            batch = windows.take(first + rows_B)
            return batch.history, batch.covariates

        return take

    series = zip(first_window, rows_of_series, strict=False)
    return np.concatenate([_forecast_blocks(model, range(count), take_of(first)) for first, count in series])


def forecast_rows(
    model: "SequenceForecaster",
    levels_NC: NDArray[np.float32],
    calendar_ND: NDArray[np.float32],
    *,
    first: int = 0,
    first_row: int = 0,
) -> NDArray[np.float32]:
    """Forecast the rows of a series from `first` on, each from those up to H before it (N - first, C).

    Before its first row a series is taken to have stood still. `first_row` is the number within the series of the first
    of these N rows.
    """
    take = _take_from(model, levels_NC, calendar_ND)
    rows = range(first_row + first, first_row + len(levels_NC))
    return _forecast_blocks(model, rows, lambda rows_B: take(rows_B - first_row))


def forecast_some(
    model: "SequenceForecaster",
    levels_NC: NDArray[np.float32],
    calendar_ND: NDArray[np.float32],
    positions: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Forecast some rows of a series, as `forecast_rows` does except for the last bits (positions, C)."""
    take = _take_from(model, levels_NC, calendar_ND)
    return _forecast_blocks(model, range(len(positions)), lambda numbers_B: take(positions[numbers_B]))


def forecast_row(
    model: "SequenceForecaster", history_LC: NDArray[np.float32], calendar_TD: NDArray[np.float32], row: int
) -> NDArray[np.float32]:
    """Forecast one row of a series by its number (C)."""
    return _forecast_blocks(model, range(row, row + 1), lambda _: (history_LC[None], calendar_TD[None]))[0]


def _take_from(
    model: "SequenceForecaster", levels_NC: NDArray[np.float32], calendar_ND: NDArray[np.float32]
) -> TakeRows:
    num_before = model.shape.num_steps - 1
    padded = (np.concatenate([np.repeat(table[:1], num_before, axis=0), table]) for table in (levels_NC, calendar_ND))
    windows_NTC, windows_NTD = (
        sliding_window_view(table, model.shape.num_steps, axis=0).transpose(0, 2, 1) for table in padded
    )
    history_NLC = windows_NTC[:, : model.shape.look_back]
    return lambda rows_B: (history_NLC[rows_B], windows_NTD[rows_B])


def _forecast_blocks(model: "SequenceForecaster", rows: range, take: TakeRows) -> NDArray[np.float32]:
    """Forecast successive rows of a series (rows, C), each at the place that its number gives it in a full block."""
    from rnnmodels.forecasters.forecasts import forecast_arrays
    from rnnmodels.training.device import one_thread

    size = BLOCK_ROWS[model.recurrent_weight.device.type]
    forecasts_NC = np.empty((len(rows), model.shape.num_channels), np.float32)
    with one_thread():
        for start in range(rows.start // size * size, rows.stop, size):
            first, stop = max(start, rows.start), min(start + size, rows.stop)
            # Places of rows that are not asked for are filled with copies of a neighbour.
            place_B = np.clip(np.arange(start, start + size), first, stop - 1) - first
            block = (table[place_B] for table in take(np.arange(first, stop)))
            outputs_BHCO = forecast_arrays(model, *block)
            forecasts_NC[first - rows.start : stop - rows.start] = outputs_BHCO[first - start : stop - start, -1, :, 0]
    return forecasts_NC
