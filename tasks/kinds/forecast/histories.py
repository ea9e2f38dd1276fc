"""Where the history of a series ends, how it continues, and what is reported about it.

What dates a forecast is the last row that the model sees: neither a row that lacks a number and is cut out, nor one
that holds nothing but what the model never learned.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from tasks.contract.notes import Notes
from tasks.errors import InputError, plural, quoted
from tasks.panel.frames import KNOWN, VALUES, bare_name
from tasks.panel.scaler import FILLED, Units
from tasks.panel.time_grid import TimeGrid

INCOMPLETE, NUM_FILLED, LACKING, NEW = "incomplete", "filled", "lacking", "new"


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
    """A series up to where its forecast starts: times of the horizon, its units, values [N, C], covariates [N + H, D].

    Values and covariates are scaled. The last L of the N steps are the look-back; what goes before is there for the
    monitor, as are the `stamps` [N] of the steps, as numbers, and which share of their numbers was `missing` [N].
    L steps of look-back, H steps of the horizon, C channels, D covariates.
    """

    starting: Start
    times: pl.Series
    units: Units
    values: np.ndarray
    covariates: np.ndarray
    stamps: np.ndarray
    missing: np.ndarray


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


def note_start(notes: Notes, start: Start, *, is_new: bool) -> None:
    """Note what was done to the rows from which a forecast starts, and whether training saw nothing of their series."""
    series = quoted(start.series)
    if start.incomplete is not None:
        notes.add(INCOMPLETE, 1, f"{series} without its rows from {start.incomplete} on")
    if start.lacking:
        notes.add(LACKING, 1, f"{series} lacks {', '.join(map(quoted, start.lacking))}")
    if is_new:
        notes.add(NEW, 1, series)
    notes.add(NUM_FILLED, start.num_filled)


def describe_starts(notes: Notes, policy: str) -> list[str]:
    """Say what was noted of starts, by the policy for missing numbers."""
    incomplete, num_filled, lacking, new = (notes.count(name) for name in (INCOMPLETE, NUM_FILLED, LACKING, NEW))
    counted = {
        f"left out rows that lack a number at the end of {incomplete} series (encode.missing = {quoted(policy)}), so "
        f"that forecasts start earlier: {notes.show(INCOMPLETE)}": incomplete,
        f"filled {plural(num_filled, 'missing number')} of look-backs with {FILLED.get(policy)}": num_filled,
        f"took the training mean for channels without any number in {lacking} series: {notes.show(LACKING)}": lacking,
        f"{new} series new to the model, scaled by the given history: {notes.show(NEW)}": new,
    }
    return [note for note, count in counted.items() if count]
