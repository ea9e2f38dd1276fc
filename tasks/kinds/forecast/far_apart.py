"""How far apart the series of a panel lie in a column: a scale that all share leaves little of the small ones."""

import math
from dataclasses import dataclass

import polars as pl

from tasks.panel.scaler import LEAST_NUMBERS, ROUNDING

# From this ratio on, one scale no longer serves both.
LIMIT = 100


@dataclass(frozen=True, kw_only=True)
class FarApart:
    """Two series of a panel, and how many times the large one exceeds the small one by level or by spread."""

    times: float
    small: str
    large: str


def find_far_apart(training: pl.LazyFrame, column: str) -> FarApart | None:
    """Measure the training rows of each series in one pass; None where one scale serves them all.

    Of a covariate only spreads count, and it must vary within most series: what tells series apart, such as the size
    of a shop, needs a shared scale to do so.
    """
    figures = _measure(training, column)
    moving = figures.filter(~pl.col("is_still"), pl.col("spread") > ROUNDING * pl.col("level"))
    if moving.is_empty():
        return None
    calmest, largest = int(moving["spread"].to_numpy().argmin()), int(figures["level"].to_numpy().argmax())
    crowded = FarApart(
        times=_spread_of_all(figures) / moving["spread"][calmest],
        small=moving["series"][calmest],
        large=figures["series"][largest],
    )
    if column.startswith("value."):
        found = [crowded, _compare(figures.filter(pl.col("level") > 0), "level"), _compare(moving, "spread")]
    else:
        found = [crowded] if moving.height > figures.height / 2 else []
    far = [one for one in found if one.times > LIMIT]
    return max(far, key=lambda one: one.times, default=None)


def _measure(training: pl.LazyFrame, column: str) -> pl.DataFrame:
    """Mean size, mean and deviation of each series, and whether it stands still."""
    value = pl.col(column)
    figures = training.group_by("series").agg(
        count=value.count(),
        level=value.abs().mean(),
        mean=value.mean(),
        spread=value.std(ddof=0),
        is_still=value.min() == value.max(),
    )
    return figures.filter(pl.col("count") >= LEAST_NUMBERS).collect(engine="streaming").sort("series")


def _compare(figures: pl.DataFrame, figure: str) -> FarApart:
    sizes, names = figures[figure].to_numpy(), figures["series"]
    low, high = int(sizes.argmin()), int(sizes.argmax())
    return FarApart(times=float(sizes[high] / sizes[low]), small=names[low], large=names[high])


def _spread_of_all(figures: pl.DataFrame) -> float:
    """Standard deviation over the rows of all series."""
    weight, mean = figures["count"] / figures["count"].sum(), figures["mean"]
    return math.sqrt((weight * (figures["spread"] ** 2 + (mean - (weight * mean).sum()) ** 2)).sum())
