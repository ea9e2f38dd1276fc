"""What each forecast value costs, elementwise losses of one batch of windows, and the simplest forecasts to beat.

    mse, mae    squared and absolute error of the point forecast, in scaled units
    mase        absolute error over the mean absolute seasonal difference of the training rows, by series and channel
                (Hyndman & Koehler 2006)
    smape       200 |y - f| / (|y| + |f|) in original units, in percent; 0 where both are 0
    crps        twice the mean pinball loss over the quantile levels, in scaled units; without levels the absolute
                error, which is the score of a certain forecast (Gneiting & Raftery 2007)
    coverage_P  share of values inside the central interval that should hold P percent of them
    width_P     width of that interval, in scaled units

The simplest forecasts are the last season repeated and the mean of the training rows.
N or B windows, L steps of look-back, H steps of the horizon, C channels, S series, O outputs: the point forecast, then
one per quantile level.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.panel.scaler import Units

if TYPE_CHECKING:
    from rnnmodels.forecasters.windows import Windows

ROWS_AT_ONCE = 1 << 18
SAME_LEVEL = 1e-6


@dataclass(frozen=True, kw_only=True)
class LossScales:
    """What losses are measured with: quantile levels, the series' units, and MASE's unit [series, channels]."""

    levels: tuple[float, ...]
    units: Units
    seasonal: np.ndarray

    def measure(self, truth_NHC: np.ndarray, outputs_NHCO: np.ndarray, series_N: np.ndarray) -> dict[str, np.ndarray]:
        """Compute every loss of a batch, each [N, H, C]; `mase` is NaN where a series' channel has no unit for it."""
        truth, outputs = truth_NHC.astype(np.float64), outputs_NHCO.astype(np.float64)
        point, quantiles = outputs[..., 0], outputs[..., 1:]
        absolute, units = np.abs(truth - point), self.units.take(series_N)
        return {
            "mse": np.square(truth - point),
            "mae": absolute,
            "mase": absolute / self.seasonal[series_N][:, None, :],
            "smape": _symmetric_percentage(units.restore(truth), units.restore(point)),
            "crps": _ranked_probability(truth, quantiles, self.levels) if self.levels else absolute,
            **_interval_losses(truth, quantiles, self.levels),
        }


def central_intervals(levels: Sequence[float]) -> list[tuple[str, int, int]]:
    """Pair each level below one half with its mirror image: percent inside, and the positions of both levels."""
    return [
        (f"{100 * (high - low):g}", lower, upper)
        for lower, low in enumerate(levels)
        for upper, high in enumerate(levels)
        if low < 0.5 and abs(low + high - 1) < SAME_LEVEL  # noqa: PLR2004 (the median)
    ]


def measure_seasonal_differences(train: "Windows", *, season: int, num_series: int) -> np.ndarray:
    """Mean absolute difference of training values one season apart: float64 [series, channels].

    No difference crosses a gap. NaN where a series has none, or nothing but zeros.
    """
    channels = train.shape.num_channels
    total, count = np.zeros((num_series, channels)), np.zeros((num_series, 1))
    for segment, series in enumerate(train.segments.series):
        values = train.segments.values_of(segment)
        total[series] += _sum_of_differences(values, season)
        count[series] += max(0, len(values) - season)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=(count > 0) & (total > 0))


def _sum_of_differences(values: np.ndarray, season: int) -> np.ndarray:
    total = np.zeros(values.shape[1])
    for first in range(season, len(values), ROWS_AT_ONCE):
        later = values[first : first + ROWS_AT_ONCE].astype(np.float64)
        earlier = values[first - season : first - season + len(later)]
        total += np.abs(later - earlier).sum(axis=0)
    return total


def _symmetric_percentage(truth: np.ndarray, point: np.ndarray) -> np.ndarray:
    size = np.abs(truth) + np.abs(point)
    return 200 * np.divide(np.abs(truth - point), size, out=np.zeros_like(size), where=size > 0)


def _ranked_probability(truth: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    total = np.zeros_like(truth)
    for position, level in enumerate(levels):
        excess = truth - quantiles[..., position]
        total += np.maximum(level * excess, (level - 1) * excess)
    return 2 * total / len(levels)


def _interval_losses(truth: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> dict[str, np.ndarray]:
    losses = {}
    for percent, lower, upper in central_intervals(levels):
        low, high = quantiles[..., lower], quantiles[..., upper]
        losses[f"coverage_{percent}"] = ((low <= truth) & (truth <= high)).astype(np.float64)
        losses[f"width_{percent}"] = high - low
    return losses


def choose_season(layout: dict) -> int:
    """Steps of the season to repeat; a look-back that is shorter than one leaves its last value to repeat: 1."""
    return layout["season"] if layout["season"] <= layout["look_back"] else 1


def name_naive(season: int) -> str:
    """Under which name forecasts that repeat a season are shown."""
    return "seasonal-naive" if season > 1 else "last-value"


def repeat_season(history_BLC: np.ndarray, *, horizon: int, season: int) -> np.ndarray:
    """Forecast each step (B, H, C) as the value of its phase in the last season."""
    phases = np.arange(horizon) % season
    return history_BLC[:, history_BLC.shape[1] - season + phases]


def measure_training_means(train: "Windows", *, num_series: int) -> np.ndarray:
    """Mean of each series' training values: float64 (S, C); that of all series where one has none."""
    total_SC, count_S1 = np.zeros((num_series, train.shape.num_channels)), np.zeros((num_series, 1))
    for segment, series in enumerate(train.segments.series):
        values = train.segments.values_of(segment)
        total_SC[series] += values.sum(axis=0, dtype=np.float64)
        count_S1[series] += len(values)
    mean_of_all_C = total_SC.sum(axis=0) / count_S1.sum()
    return np.where(count_S1 > 0, total_SC / np.maximum(count_S1, 1), mean_of_all_C)
