"""The baseline of detectors: how far a value lies from the mean of those before it."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def subtract_moving_average(values: np.ndarray, *, window_rows: int) -> np.ndarray:
    """Each value less the mean of the `window_rows` before it; the first value stands for those before the series."""
    padded = np.concatenate([np.repeat(values[:1], window_rows), values[:-1]])
    return values - sliding_window_view(padded, window_rows).mean(axis=1)
