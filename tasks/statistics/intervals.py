"""Confidence intervals: the bootstrap over rows, and Wilson's score interval for a share."""

from collections.abc import Iterator

import numpy as np
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

RESAMPLES_AT_ONCE = 64


class Interval(TypedDict):
    """An estimate with the bounds of its confidence interval."""

    value: float
    low: float
    high: float


def scaled_interval(interval: Interval, factor: float) -> Interval:
    """An interval in a unit of which one of its own holds `factor`."""
    return {"value": factor * interval["value"], "low": factor * interval["low"], "high": factor * interval["high"]}


def draw_resamples(num_rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Draw rows with replacement and yield, some resamples at a time, how often each was drawn: [rows, resamples]."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, RESAMPLES_AT_ONCE):
        width = min(RESAMPLES_AT_ONCE, resamples - start)
        cell = generator.integers(num_rows, size=(num_rows, width)) * width + np.arange(width)
        counts = np.bincount(cell.ravel(), minlength=num_rows * width)
        yield counts.reshape(num_rows, width).astype(np.float64)


def percentile_interval(value: float, draws: np.ndarray, confidence: float) -> Interval:
    """Bound an estimate by the quantiles of its resampled values; undefined ones do not count."""
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return {"value": float(value), "low": float(low), "high": float(high)}


def reflected_interval(value: float, draws: np.ndarray, confidence: float) -> Interval:
    """Bound an estimate that is never negative and biased upwards, as its resampled values are once more.

    Quantiles of such values miss the truth nearly always where it is small; reflecting them at the estimate (the
    "basic" bootstrap of Davison & Hinkley 1997) takes the bias away instead of doubling it.
    """
    around = percentile_interval(value, draws, confidence)
    low, high = (max(0.0, 2 * value - bound) for bound in (around["high"], around["low"]))
    return {"value": float(value), "low": float(min(low, value)), "high": float(max(high, value))}


def mean_with_interval(value_per_row: np.ndarray, *, resamples: int, confidence: float, seed: int) -> Interval:
    """Mean of one number per row, such as a paired difference, with its percentile bootstrap interval."""
    num_rows = len(value_per_row)
    draws = [value_per_row @ counts / num_rows for counts in draw_resamples(num_rows, resamples, seed)]
    return percentile_interval(value_per_row.mean(), np.concatenate(draws), confidence)


def share_with_interval(hits: int, rows: int, confidence: float) -> Interval:
    """Share of hits with its Wilson score interval, sound for few rows and for shares near 0 and 1."""
    from scipy import stats

    bounds = stats.binomtest(hits, rows).proportion_ci(confidence, method="wilson")
    return {"value": hits / rows, "low": float(bounds.low), "high": float(bounds.high)}
