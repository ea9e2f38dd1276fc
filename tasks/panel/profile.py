"""How windows of series are counted as a profile, and how much those that follow each other resemble each other.

A window is the last steps of a history: as many as a model forecasts, but no fewer than MIN_STEPS where it looks back
so far; windows do not overlap. Numbers are scaled as the network sees them. This module travels with the registered
model.
"""

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.contract.profile import Feature, Profile, Stretch, Watch

MIN_STEPS = 24
LEAST_PERIODS = 3
STRONGEST = 0.95  # correlation of neighbouring periods that is still measured: one row in 39 is then independent

# Both are fine near 0, where scaled numbers are, and hold those a few hundred scales away. What stands still has a bin
# of its own.
_LEVELS = np.sinh(np.arange(-48, 49) / 8)
_SIZES = np.concatenate([[0.0, 1e-4], 2 ** (np.arange(-36, 33) / 4)])
_SHARES = np.concatenate([[0.0], np.arange(51) / 50])
PLACE = ("series", "begin", "end")
LEVEL = Feature(title="mean level", form="{:+.2f}", bounds=_LEVELS)
MISSING = Feature(title="share of missing numbers", form="{:.1%}", bounds=_SHARES)
WATCH = Watch(
    unit="windows",
    min_rows=20,
    features={
        "level": LEVEL,
        "spread": Feature(title="mean spread", form="{:.3g}", bounds=_SIZES),
        "error": Feature(title="mean forecast error", form="{:.3g}", bounds=_SIZES, rises=True),
        "change": Feature(title="mean forecast change", form="{:+.2g}", bounds=_LEVELS),
        "missing": MISSING,
        "alarm": Feature(
            title="share of windows with an alarm", form="{:.1%}", bounds=np.array([-0.5, 0.5, 1.5]), rises=True
        ),
    },
)


def window_steps(look_back: int, horizon: int) -> int:
    """Steps of a window, and from one to the next."""
    return max(horizon, min(look_back, MIN_STEPS))


def profile_windows(windows: pl.DataFrame, *, as_reference: bool = False, are_dated: bool = True) -> Profile:
    """Count windows: series, begin and end (times as numbers), and a column per histogram, null where it is not known.

    For a reference the dependence is measured, too.
    """
    if windows.is_empty():
        return Profile.empty()
    names = [name for name in windows.columns if name not in PLACE]
    values = {name: windows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in names}
    series = min(hashlib.sha256(name.encode()).hexdigest()[:16] for name in windows["series"].unique())
    begin, end = windows.select(pl.col("begin").min(), pl.col("end").max()).row(0)
    periods = number_periods(windows)
    return Profile(
        rows=windows.height,
        histograms={name: WATCH.feature(name)[0].count(numbers) for name, numbers in values.items()},
        dependence={name: measure_dependence(name, values[name], periods) for name in names if as_reference},
        stretch=Stretch(series, begin, end) if are_dated else None,
    )


def number_periods(windows: pl.DataFrame) -> NDArray[np.int64]:
    """The period in which each window ends; windows of one series end in different ones."""
    ends = windows.select("series", "end").sort("series", "end")
    step = ends.select(pl.col("end").diff().over("series")).to_series().median()
    return ((windows["end"] - windows["end"].min()).to_numpy() / (step or 1)).round().astype(np.int64)


def measure_dependence(name: str, values: NDArray[np.float64], periods: NDArray[np.int64]) -> float:
    """How many windows tell as much of a mean as one independent window: its variance over that of independent ones.

    Means are those of the bins' numbers, so that no single window weighs much. Series of one period may move together,
    and a period may resemble the one before (a first-order autoregression, whose correlation is corrected for the few
    periods there are: Kendall, Biometrika 41, 1954). What cannot be known is taken to be 1.
    """
    known = ~np.isnan(values)
    place = WATCH.feature(name)[0].places(values[known]).astype(np.float64)
    _, period = np.unique(periods[known], return_inverse=True)
    num_periods = int(period.max(initial=-1)) + 1
    if num_periods < LEAST_PERIODS or not place.var():
        return 1.0
    means = np.bincount(period, place) / np.bincount(period)
    means -= means.mean()
    correlation = float(means[1:] @ means[:-1] / (means @ means)) if means.any() else 0.0
    correlation = np.clip(correlation + (1 + 3 * correlation) / num_periods, 0, STRONGEST)
    of_mean = means.var(ddof=1) / num_periods * (1 + correlation) / (1 - correlation)
    return float(np.clip(of_mean * len(place) / place.var(), 1, len(place)))
