"""Where the history of a series ends, how it continues, what is reported about it, and why it may be refused.

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
from tasks.panel.inferred_grid import infer_grid
from tasks.panel.refusals import refuse_missing_channels
from tasks.panel.rounding import find_rounded
from tasks.panel.scaler import FILLED, LEAST_NUMBERS, Scaler, Units
from tasks.panel.time_grid import TimeGrid, describe_times

INCOMPLETE, NUM_FILLED, LACKING, NEW = "incomplete", "filled", "lacking", "new"

# Fewer rows do not show in which steps a series goes.
FEWEST_STEPPING_ROWS = 3
# Further from its centre, in scales, nothing was learned about a history.
FAR = 10_000


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
    given = rows["time"].filter(rows["time"] > end).head(horizon)
    # Where rows follow one another whatever lies between, those that are there already say when the next steps are.
    times = given if grid.spans and given.len() == horizon else grid.following(end, horizon)
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


def refuse_other_rows(rows: pl.DataFrame, grid: TimeGrid, channels: Sequence[str], time_column: str | None) -> None:
    """Raise InputError for times of another kind (E-FOR-003), or if a channel is not there (E-FOR-004)."""
    given = rows.schema["time"]
    if given != grid.dtype:
        raise InputError(
            "E-FOR-003",
            f"times are {describe_times(given)}, expected {describe_times(grid.dtype)} as in training.",
            fix=_how_to_write(grid),
            column=time_column,
        )
    refuse_missing_channels("E-FOR-004", rows, channels)


def _how_to_write(grid: TimeGrid) -> str:
    ways = {
        "naive": "write the times without an offset, as the clock of the training rows shows them.",
        "utc": "write each time with its offset, such as 2024-02-29T13:30:00Z.",
        "step": "write the number of each step, as in the training rows.",
    }
    return ways[grid.clock]


def find_scaler(scaler: Scaler, series: str, past: pl.DataFrame) -> Scaler:
    """A scaler that knows a series, measured on its history if it was not trained on.

    Raises InputError (E-SER-031) for a history with too few numbers.
    """
    covering = scaler.covering([series], past)
    if not covering.knows(series):
        raise InputError(
            "E-SER-031",
            f"series {quoted(series)} is new to the model, and its history holds fewer than the {LEAST_NUMBERS} "
            "numbers needed to measure its scale.",
            fix="give more of its history, or leave the series out.",
        )
    return covering


def refuse_rounded(series: str, past: pl.DataFrame, scaled: pl.DataFrame, scaler: Scaler) -> None:
    """Raise InputError (E-SER-032) for a look-back so far from training that rounding hides its swing.

    `scaled` is that look-back, and `past` the history that ends with it.
    """
    distance = scaled.select(VALUES.abs().min()).max_horizontal().item()
    if scaler.method == "none" or distance <= FAR:
        return
    if find_rounded(past.join(scaled.select("time"), on="time", how="semi"), scaler, ["series"]).height:
        raise InputError(
            "E-SER-032",
            f"series {quoted(series)} lies {distance:,.0f} times its scale away from the training rows, "
            "too far for 32-bit floats to resolve its variation.",
            fix="convert it to the unit of the training rows, or train again with such rows.",
        )


def refuse_gaps(series: str, times: pl.Series, grid: TimeGrid) -> None:
    """Raise InputError (E-TIME-016) if a history does not continue step by step from its beginning."""
    num_steps = grid.count_steps(times)
    if num_steps < times.len():
        after, before = (grid.on_clocks(time) for time in times[-num_steps - 1 :][:2])
        raise InputError(
            "E-TIME-016",
            f"got {before} after {after} in series {quoted(series)}, expected a step of {grid.frequency}.",
            fix="fill in the rows, or give only those that follow.",
        )


def refuse_short(past: pl.DataFrame, used: pl.Series, grid: TimeGrid, look_back: int, series: str) -> None:
    """Refuse a history whose last steps, up to the first gap, are fewer than the look-back.

    `used` are the times of those rows of the past that lack no number. Raises InputError: E-FOR-005 where the series
    goes in other steps than in training, else E-FOR-001.
    """
    num_steps = grid.count_steps(used.tail(look_back))
    # Where windows span holes, rows in another step would look as if they followed one another.
    if num_steps >= look_back and not grid.spans:
        return
    step = _find_other_step(past, grid)
    if num_steps >= look_back and step is None:
        return
    if step is not None:
        raise InputError(
            "E-FOR-005",
            f"series {quoted(series)} has steps of {step}, expected {grid.frequency} as in training.",
            fix=f"give a row for each step of {grid.frequency}, or leave the series out.",
        )
    end = f" up to {grid.on_clocks(used[-1])}" if used.len() else ""
    raise InputError(
        "E-FOR-001",
        f"series {quoted(series)} has {plural(num_steps, 'step')} without a gap{end}, expected at least "
        f"{look_back}{_describe_break(past, used, num_steps, grid)}.",
        fix="give more of its history, fill its gaps, or leave the series out.",
    )


def _find_other_step(past: pl.DataFrame, grid: TimeGrid) -> str | None:
    """The step in which most rows of a series follow one another, if it is not that of the grid."""
    times = past["time"]
    inferred = infer_grid(past.select("series", "time"), clock=grid.clock, zone=grid.zone)
    if inferred is None or times.len() < FEWEST_STEPPING_ROWS or _is_stepped_by(times, grid):
        return None
    return inferred.frequency if _is_stepped_by(times, inferred) else None


def _is_stepped_by(times: pl.Series, grid: TimeGrid) -> bool:
    """Tell whether most times are a step of the grid after those before them."""
    own = grid.through_end(times)
    is_step = (own.positions(times).diff() == 1) & ~own.find_irregular(times)
    return 2 * is_step.sum() >= times.len() - 1


def _describe_break(past: pl.DataFrame, used: pl.Series, num_steps: int, grid: TimeGrid) -> str:
    """What stands before the steps without a gap, if anything does."""
    before = past["time"].filter(past["time"] < used[-num_steps]) if num_steps else past["time"]
    if before.is_empty():
        return ""
    time = before.tail(1)
    shown = f"; the row before them, of {grid.on_clocks(time[0])}," if num_steps else "; its last row"
    if time[0] not in used:
        return f"{shown} lacks a number"
    return f"{shown} lies between two steps of {grid.frequency}" if grid.find_irregular(time).any() else ""
