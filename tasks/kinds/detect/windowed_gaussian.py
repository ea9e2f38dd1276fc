"""The windowed Gaussian detector of the Numenta Anomaly Benchmark: how far a value lies from the recent past's mean."""

import numpy as np

WINDOW_ROWS, STEP_ROWS = 6400, 100
LEAST_DEVIATION = 1e-6


def measure_distance(
    values: np.ndarray, *, window_rows: int = WINDOW_ROWS, step_rows: int = STEP_ROWS
) -> tuple[np.ndarray, np.ndarray]:
    """How many deviations each value [rows] lies from the mean of those before it, and that mean; the first is its own.

    The window grows with every row until it is full, then it moves on by `step_rows` at a time.
    """
    rows = np.arange(len(values))
    steps_on = np.maximum(0, rows - window_rows) // step_rows * step_rows
    mean, deviation = _describe_windows(values, steps_on, np.minimum(rows, window_rows + steps_on))
    return np.abs(values - mean) / np.where(deviation > 0, deviation, LEAST_DEVIATION), mean


def _describe_windows(values: np.ndarray, first: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of `values[first:stop]` for each pair, from running sums."""
    centred = values - values[:1]
    count = np.maximum(stop - first, 1)
    sums, squares = (np.concatenate([[0.0], np.cumsum(power)]) for power in (centred, np.square(centred)))
    mean = (sums[stop] - sums[first]) / count
    variance = (squares[stop] - squares[first]) / count - np.square(mean)
    return values[:1] + mean, np.sqrt(np.maximum(variance, 0.0))
