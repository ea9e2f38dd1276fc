"""Where the history of a series ends, how it continues, and what is reported about it.

What dates a forecast is the last row that the model sees: neither a row that lacks a number and is cut out, nor one
that holds nothing but what the model never learned.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from tasks.errors import InputError, plural, quoted
from tasks.panel.frames import KNOWN, VALUES, bare_name
from tasks.panel.scaler import FILLED, Units
from tasks.panel.time_grid import TimeGrid

MAX_SHOWN_SERIES = 3


class Start(NamedTuple):
    """What the forecast of a series starts from.

    `incomplete` is the time of the first of its last rows that are left out for want of a number, None where there is
    none; `num_filled` counts the numbers of its look-back that were filled in, `lacking` names channels without any.
    """

    series: str
    incomplete: object
    num_filled: int
    lacking: tuple[str, ...]


class History(NamedTuple):
    """A series up to where its forecast starts: times of the horizon, its units, values [L, C], covariates [L + H, D].

    Values and covariates are scaled. L steps of look-back, H steps of the horizon, C channels, D covariates.
    """

    starting: Start
    times: pl.Series
    units: Units
    values: np.ndarray
    covariates: np.ndarray


def find_end(rows: pl.DataFrame, channels: Sequence[str]) -> int:
    """Number of rows of a series up to the last in which one of the channels has a number."""
    has_number = rows.select(pl.any_horizontal(pl.col(f"value.{name}").is_not_null() for name in channels)).to_series()
    return rows.height - int(has_number.to_numpy()[::-1].argmax()) if has_number.any() else 0


def look_ahead(rows: pl.DataFrame, end: object, grid: TimeGrid, horizon: int) -> pl.DataFrame:
    """The covariates of the horizon, with times that go on from the end of a series' history.

    Raises InputError (E-FOR-002) for a covariate that is not known there.
    """
    series, names = rows["series"][0], rows.select(KNOWN).columns
    last = grid.positions(pl.Series([end], dtype=grid.dtype))[0]
    times = grid.times(pl.Series(range(last + 1, last + 1 + horizon), dtype=pl.Int64))
    future = pl.DataFrame({"time": times}).with_columns(series=pl.lit(series))
    future = future.join(rows.select("time", *names), on="time", how="left", maintain_order="left")
    for name in names:
        unknown = future.filter(pl.col(name).is_null())
        if unknown.height:
            raise InputError(
                "E-FOR-002",
                f"is not known at {grid.on_clocks(unknown['time'][0])} in series {quoted(series)}.",
                fix=f"add a row for each of the next {horizon} steps, with the values to forecast left empty.",
                column=bare_name(name),
            )
    return future


def describe_start(past: pl.DataFrame, used: pl.Series, grid: TimeGrid, policy: str) -> Start:
    """Describe a look-back: the `used` times of a series whose rows up to its last value are `past`."""
    incomplete = past["time"].filter(past["time"] > used[-1])
    values = past.select(VALUES)
    return Start(
        series=past["series"][0],
        incomplete=grid.on_clocks(incomplete[0]) if incomplete.len() else None,
        num_filled=sum(past.tail(used.len()).null_count().row(0)) if policy in FILLED else 0,
        lacking=tuple(bare_name(name) for name in values.columns if not values[name].count()),
    )


def describe_starts(starts: Sequence[Start], policy: str) -> list[str]:
    """Say what was done to the rows from which forecasts start, by the policy for missing numbers."""
    earlier = [
        f"{quoted(one.series)} without its rows from {one.incomplete} on"
        for one in starts
        if one.incomplete is not None
    ]
    lacking = [f"{quoted(one.series)} lacks {', '.join(map(quoted, one.lacking))}" for one in starts if one.lacking]
    num_filled = sum(one.num_filled for one in starts)
    counted = {
        f"left out rows that lack a number at the end of {len(earlier)} series (encode.missing = {quoted(policy)}), so "
        f"that forecasts start earlier: {_shorten(earlier)}": len(earlier),
        f"filled {plural(num_filled, 'missing number')} of look-backs with {FILLED.get(policy)}": num_filled,
        f"took the training mean for channels without any number in {len(lacking)} series: {_shorten(lacking)}": len(
            lacking
        ),
    }
    return [note for note, count in counted.items() if count]


def describe_new(names: Sequence[str]) -> list[str]:
    """Say which series have no scale of their own from training."""
    if not names:
        return []
    shown = _shorten([*map(quoted, names)])
    return [f"{len(names)} series new to the model, scaled by the given history: {shown}"]


def _shorten(parts: Sequence[str]) -> str:
    return "; ".join([*parts[:MAX_SHOWN_SERIES], *(["..."] if len(parts) > MAX_SHOWN_SERIES else [])])
