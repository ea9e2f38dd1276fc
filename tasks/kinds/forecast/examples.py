"""Windows to look at, where the forecast was best, ordinary and worst, and what forecasts leave unexplained.

One channel of one window is ranked against all others, so that a good channel cannot hide a bad one. Errors one step
ahead should be white noise.
L steps of look-back, H steps of the horizon, C channels, O outputs: the point forecast, then the quantiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tasks.panel.scaler import Units

if TYPE_CHECKING:
    from rnnmodels.forecasters.windows import Windows

HORIZONS_OF_HISTORY = 2

MIN_LAGS, MAX_LAGS = 24, 200
SEASONS_SHOWN = 2
WHITE_NOISE_QUANTILE = 1.96  # 95 % of the autocorrelations of white noise lie within this over the root of n


@dataclass(frozen=True, kw_only=True)
class Example:
    """One channel of one window, by position, and its rank among all."""

    rank: str
    window: int
    channel: int
    mse: float


def rank_examples(squared_error_WC: np.ndarray) -> list[Example]:
    """Pick the best, the median and the worst channel of a window by mean squared error in scaled units."""
    errors = squared_error_WC.ravel()
    middle = (len(errors) - 1) // 2
    places = {"best": errors.argmin(), "median": np.argpartition(errors, middle)[middle], "worst": errors.argmax()}
    channels = squared_error_WC.shape[1]
    return [
        Example(rank=rank, window=int(place // channels), channel=int(place % channels), mse=float(errors[place]))
        for rank, place in places.items()
    ]


def describe_example(
    example: Example,
    windows: "Windows",
    outputs_WHCO: np.ndarray,
    *,
    units: Units,
    names: Sequence[str],
) -> dict:
    """JSON value of one example in original units: the end of its history, truth, point forecast and quantiles.

    `units` are those of its series alone.
    """
    channel, batch = example.channel, windows.take(np.array([example.window]))
    restore = partial(_restore, centre=units.centre[0, channel], scale=units.scale[0, channel])
    shown = HORIZONS_OF_HISTORY * batch.future.shape[1]
    return {
        "window": example.window,
        "channel": names[channel],
        "mse": example.mse,
        "history": restore(batch.history[0, -shown:, channel]),
        "truth": restore(batch.future[0, :, channel]),
        "point": restore(outputs_WHCO[example.window, :, channel, 0]),
        "quantiles": restore(outputs_WHCO[example.window, :, channel, 1:].T),
    }


def _restore(values: np.ndarray, *, centre: float, scale: float) -> list:
    return (values.astype(np.float64) * scale + centre).tolist()


def describe_residuals(error_WC: np.ndarray, segment_W: np.ndarray, *, season: int, stride: int) -> dict:
    """JSON value: autocorrelation of the errors one step ahead, mean over channels, at lags in steps.

    Consecutive windows are `stride` steps apart, and only pairs within one gap-free segment count. Without a pair, or
    without any error, the list is empty.
    """
    reach = min(max(MIN_LAGS, SEASONS_SHOWN * season // stride), MAX_LAGS, len(error_WC) - 1)
    found = {lag: correlate_at_lag(error_WC, segment_W, lag) for lag in range(1, reach + 1)}
    return {
        "windows": len(error_WC),
        "bound": WHITE_NOISE_QUANTILE / np.sqrt(len(error_WC)),
        "autocorrelation": [
            {"lag": lag * stride, "value": value} for lag, value in found.items() if np.isfinite(value)
        ],
    }


def correlate_at_lag(error_WC: np.ndarray, segment_W: np.ndarray, lag: int) -> float:
    """Mean over channels of the autocorrelation at a lag in windows; NaN without a pair or without any error."""
    paired = segment_W[lag:] == segment_W[:-lag]
    centred = error_WC - error_WC.mean(axis=0, dtype=np.float64)
    products = (centred[lag:] * centred[:-lag])[paired].sum(axis=0)
    squares = np.square(centred).sum(axis=0)
    varies = squares > 0
    return float((products[varies] / squares[varies]).mean()) if paired.any() and varies.any() else float("nan")
