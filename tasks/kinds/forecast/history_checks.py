"""Why rows, or the history of one series, cannot be gone on from."""

from collections.abc import Sequence

import polars as pl

from tasks.errors import InputError, plural, quoted
from tasks.panel.frames import VALUES
from tasks.panel.refusals import refuse_missing_channels
from tasks.panel.rounding import find_rounded
from tasks.panel.scaler import LEAST_NUMBERS, Scaler
from tasks.panel.time_grid import TimeGrid, describe_times, infer_grid

# Fewer rows do not show in which steps a series goes.
FEWEST_STEPPING_ROWS = 3
# Further from its centre, in scales, nothing was learned about a history.
FAR = 10_000


def refuse_other_rows(rows: pl.DataFrame, grid: TimeGrid, channels: Sequence[str], time_column: str) -> None:
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
    if num_steps >= look_back:
        return
    step = _find_other_step(past, grid)
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
