"""The grid of a source, found in its times: the most frequent step, named on the calendar where it is one of days."""

from dataclasses import replace

import polars as pl

from tasks.panel.local_times import month_numbers, nominal
from tasks.panel.time_grid import (
    BUSINESS_DAY,
    FOLLOWS_IN_SERIES,
    HOUR_US,
    UNIT_MONTHS,
    UNITS_US,
    WEEK_US,
    Clock,
    TimeGrid,
    parse_frequency,
)
from tasks.panel.workdays import DAY_US, WORKDAYS

# Rows lie where at least this share of the weeks has one, if there are as many weeks.
USUAL, FEWEST_WEEKS = 0.5, 4
MAX_OPENING = 10_080  # minutes of a week
SHORTEST_MONTH_US = 28 * DAY_US


def infer_grid(times: pl.DataFrame, *, clock: Clock, zone: str | None, frequency: str = "auto") -> TimeGrid | None:
    """Find the grid of sorted times, columns `series` and `time` (of the clock's type).

    With `auto` the step is the most frequent difference; None where no series has two times.
    """
    if frequency == "auto":
        step = _most_frequent_step(times, "time")
        if step is None:
            return None
        frequency = str(step) if clock == "step" else _name_step(times, step, zone)
    number, unit = parse_frequency(frequency)
    if unit == BUSINESS_DAY:
        workdays = _with_local(times, zone).filter(pl.col("local").dt.weekday() <= WORKDAYS)
        first = (times if workdays.is_empty() else workdays).select(pl.col("time").cast(pl.Int64).min()).item()
        return TimeGrid(frequency, clock, zone, first)
    if unit in UNIT_MONTHS:
        return TimeGrid(frequency, clock, zone, _latest_day(_with_local(times, zone)))
    step = number * UNITS_US.get(unit, 1)
    begins_step = FOLLOWS_IN_SERIES.shift(-1) & (pl.col("time").cast(pl.Int64).diff().shift(-1) == step)
    regular = times.filter(begins_step)
    anchor = (times if regular.is_empty() else regular).select(pl.col("time").cast(pl.Int64).min()).item()
    return TimeGrid(frequency, clock, zone, anchor)


def spanning(grid: TimeGrid, times: pl.Series) -> TimeGrid:
    """The grid that spans holes, and knows when within a week the given times of its rows usually lie."""
    number, unit = parse_frequency(grid.frequency)
    step_us, spans = number * UNITS_US.get(unit, WEEK_US), replace(grid, spans=True)
    is_uneven = unit == BUSINESS_DAY or grid.clock == "step" or WEEK_US % step_us != 0
    if is_uneven or not 1 < WEEK_US // step_us <= MAX_OPENING:
        return spans
    stamps = times.cast(pl.Int64).to_numpy()
    num_weeks = 1 + int(stamps.max() - stamps.min()) // WEEK_US
    found = grid.within_week(times.unique()).value_counts()
    usual = found.filter(pl.col("count") >= max(2, USUAL * num_weeks))[found.columns[0]].sort().to_list()
    is_regular = num_weeks < FEWEST_WEEKS or not usual or len(usual) == WEEK_US // step_us
    return spans if is_regular else replace(spans, opening=tuple(usual))


def _name_step(times: pl.DataFrame, step_us: int, zone: str | None) -> str:
    """Name a step; what is a day or longer is measured again on the clocks of the zone."""
    # When clocks change, a day is an hour shorter or longer.
    if step_us < DAY_US - HOUR_US:
        return _name_duration(step_us)
    local = _with_local(times, zone)
    step_us = _most_frequent_step(local, "local") or step_us
    if step_us >= SHORTEST_MONTH_US and all(map(_is_monthly, local.partition_by("series"))):
        months = _most_frequent_step(local.select("series", month=month_numbers(local["local"])), "month")
        assert months is not None, "steps of days are there, and so are steps of months"
        return _name_months(months)
    return _name_duration(step_us)


def _is_monthly(local: pl.DataFrame) -> bool:
    """Whether the times of a series lie whole months apart, though on days of its own."""
    return not TimeGrid("1mo", "naive", None, _latest_day(local, "local")).find_irregular(local["local"]).any()


def _with_local(times: pl.DataFrame, zone: str | None) -> pl.DataFrame:
    return times.with_columns(local=nominal(times["time"], zone) if zone else pl.col("time"))


def _most_frequent_step(times: pl.DataFrame, column: str) -> int | None:
    """The most frequent difference of neighbours in a series, the smallest of several."""
    steps = times.select(step=pl.when(FOLLOWS_IN_SERIES).then(pl.col(column).cast(pl.Int64).diff()))
    steps = steps.filter(pl.col("step") > 0)
    counted = steps.group_by("step").len().sort("len", "step", descending=[True, False])
    return None if counted.is_empty() else counted["step"][0]


def _latest_day(local: pl.DataFrame, column: str = "time") -> int:
    """The time with the latest day of its month, and of those the first."""
    return local.sort(pl.col("local").dt.day(), pl.lit(0) - pl.col("local").cast(pl.Int64))[column].cast(pl.Int64)[-1]


def _name_duration(step_us: int) -> str:
    unit, unit_us = next((unit, size) for unit, size in UNITS_US.items() if step_us % size == 0)
    return f"{step_us // unit_us}{unit}"


def _name_months(months: int) -> str:
    unit, size = next((unit, size) for unit, size in reversed(UNIT_MONTHS.items()) if months % size == 0)
    return f"{months // size}{unit}"
