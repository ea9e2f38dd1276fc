"""What a forecast leaves unexplained: whether its errors one step ahead are white noise."""

import numpy as np

MIN_LAGS, MAX_LAGS = 24, 200
SEASONS_SHOWN = 2
WHITE_NOISE_QUANTILE = 1.96  # 95 % of the autocorrelations of white noise lie within this over the root of n


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
