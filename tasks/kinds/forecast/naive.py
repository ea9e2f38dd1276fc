"""What a forecaster must beat: the last season repeated, and the mean of the training rows.

B windows of a batch, L steps of look-back, H steps of the horizon, C channels, S series.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rnnmodels.forecasters.windows import Windows


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
