"""Scales from training rows: one for each column, or one for each series where they lie far apart.

Where they do, a scale that all share leaves little of the small ones.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from tasks.errors import InputError, quoted
from tasks.panel.frames import TRAIN, bare_name, read_windows
from tasks.panel.scaler import LEAST_NUMBERS, ROUNDING, ColumnScale, OwnScales, fit_scale, measure_series

ScaledBy = Literal["auto", "channel", "series"]

# From this ratio on, one scale no longer serves both.
LIMIT = 100


@dataclass(frozen=True, kw_only=True)
class FarApart:
    """Two series of a panel, and how many times the large one exceeds the small one by level or by spread."""

    times: float
    small: str
    large: str


@dataclass(frozen=True, kw_only=True)
class FittedScales:
    """A scale per column, those of each series where they have their own, and which series lie far apart by column."""

    columns: dict[str, ColumnScale]
    own: OwnScales | None
    far_apart: dict[str, FarApart]


def fit_scales(path: Path, *, method: str, scaled_by: ScaledBy) -> FittedScales:
    """Measure the training rows of a table, one column in memory at a time, then some whole series at a time.

    Raises InputError: E-SER-008 for a column without numbers, E-SER-030 where no series has enough of them.
    """
    columns, training = {}, pl.scan_parquet(path).filter(split=TRAIN)
    for name in pl.read_parquet_schema(path):
        if name.startswith(("value.", "known.")):
            numbers = training.select(name).collect()[name].fill_null(float("nan")).to_numpy()
            columns[name] = fit_scale(name, numbers, method)
    far_apart = {name: found for name in columns if (found := find_far_apart(training, name))}
    own = _choose_own(columns, far_apart, scaled_by) if method != "none" else []
    return FittedScales(columns=columns, own=_fit_own_scales(path, own, method) if own else None, far_apart=far_apart)


def _choose_own(names: Mapping[str, object], far_apart: Mapping[str, object], scaled_by: ScaledBy) -> list[str]:
    """Columns in which each series gets a scale of its own; covariates do only where they lie far apart."""
    chosen = {
        "channel": lambda name: False,  # noqa: ARG005 (none does)
        "auto": lambda name: name in far_apart,
        "series": lambda name: name in far_apart or name.startswith("value."),
    }[scaled_by]
    return [name for name in names if chosen(name)]


def _fit_own_scales(path: Path, columns: Sequence[str], method: str) -> OwnScales:
    scales = {}
    for rows in read_windows(path):
        scales |= measure_series(rows.filter(split=TRAIN), columns, method)
    if not scales:
        raise InputError(
            "E-SER-030",
            f"no series has the {LEAST_NUMBERS} numbers in the training rows that a per-series scale needs.",
            fix='set encode.scale to "channel", or let training rows end later.',
        )
    return OwnScales(columns=tuple(columns), series=scales)


def describe_scales(fitted: FittedScales, method: str) -> list[str]:
    """Say in which columns series have scales of their own, or would need them, and which series stand still."""
    own = fitted.own or OwnScales(columns=(), series={})
    done = "so each is scaled separately"
    remedy = 'set encode.method to "standard"' if method == "none" else 'set encode.scale to "series"'
    undone = f"and share one scale, so the small ones count for next to nothing: {remedy}"
    warnings = [
        f"series differ by a factor of up to {one.times:,.0f} in {_shown(name)} (such as {quoted(one.small)} and "
        f"{quoted(one.large)}), {done if name in own.columns else undone}"
        for name, one in fitted.far_apart.items()
    ]
    still = {name: [one for one, scale in own.of(name) if scale.is_constant] for name in own.columns}
    return warnings + [
        f"{len(found)} series such as {quoted(found[0])} are constant in {_shown(name)} in the training rows, so "
        "they are scaled by their absolute value"
        for name, found in still.items()
        if found
    ]


def _shown(name: str) -> str:
    return quoted(bare_name(name))


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
