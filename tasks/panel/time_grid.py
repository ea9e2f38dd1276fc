"""The regular grid of a source: which times follow one another.

Steps below a day are counted on the time line, so clocks that change make no gap. Days and longer steps are counted on
the clocks and calendars of the zone: a day may have 23 hours and a month 28 days, and each is one step. Days from
Monday to Friday may be counted alone.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
WEEK_US = 7 * DAY_US
UNITS_US = {
    **{"w": WEEK_US, "d": DAY_US, "h": HOUR_US, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1},
    "bd": DAY_US,
}
BUSINESS_DAY, WORKDAYS, DAYS = "bd", 5, 7
# 1970 began on a Thursday: by so much the first Monday was gone.
SINCE_MONDAY_US = 3 * DAY_US
UNIT_MONTHS = {"mo": 1, "q": 3, "y": 12}
MONTHS_PER_YEAR = 12
SHORTEST_MONTH_US = 28 * DAY_US

# In rows sorted by series: whether the row before is of the same one. Windows over groups would take much memory.
FOLLOWS_IN_SERIES = pl.col("series") == pl.col("series").shift()

Clock = Literal["utc", "naive", "step"]
DTYPES = {"utc": pl.Datetime("us", "UTC"), "naive": pl.Datetime("us"), "step": pl.Int64()}


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """All times that lie a whole number of steps from an anchor.

    `anchor` is in microseconds since 1970 or a step number. `zone` belongs to the clock `utc`. Months keep the anchor's
    day, or end with their last one: an anchor on the 31st stands for ends of months.

    Where rows that follow one another are steps whatever lies between, the grid `spans` holes. `opening` then lists
    when within a week on the clocks of the zone there usually are rows (microseconds since Monday); what follows a
    series lies there. Without it holes have no pattern.
    """

    frequency: str
    clock: Clock
    zone: str | None
    anchor: int
    spans: bool = False
    opening: tuple[int, ...] = ()

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "TimeGrid":
        """Read what `dataclasses.asdict` made of it, by way of JSON."""
        read: dict[str, Any] = {**fields, "opening": tuple(fields.get("opening", ()))}
        return cls(**read)

    @property
    def dtype(self) -> pl.DataType:
        """Type of the column `time`."""
        return DTYPES[self.clock]

    @property
    def season(self) -> int:
        """Steps of the shortest natural cycle: of an hour, a day, a week or a year; 1 where there is none."""
        number, unit = _parse(self.frequency)
        if self.opening:
            return self._season_of_opening(number * UNITS_US[unit])
        if unit == BUSINESS_DAY:
            return WORKDAYS
        if unit in UNIT_MONTHS:
            cycle, step = MONTHS_PER_YEAR, number * UNIT_MONTHS[unit]
        elif unit in UNITS_US:
            step = number * UNITS_US[unit]
            cycle = next((cycle for longest, cycle in CYCLES_US if step <= longest), step)
        else:
            cycle = step = number
        return cycle // step if cycle % step == 0 else 1

    def positions(self, times: pl.Series) -> pl.Series:
        """Number the times, Int64: consecutive steps differ by 1, a time off the grid gets that of a neighbour."""
        number, unit = _parse(self.frequency)
        if self.clock == "step":
            return (times - self.anchor) // number
        local, anchor = self._local(times), self._local(self._anchor_time())
        if unit in UNIT_MONTHS:
            return (_month_numbers(local) - _month_numbers(anchor)[0]) // (number * UNIT_MONTHS[unit])
        step_us = number * UNITS_US[unit]
        if unit == BUSINESS_DAY:
            days, first = _days_since(local, anchor), _count_workdays(_days_of(anchor))[0]
            return _count_workdays(days + _days_of(anchor)[0]) - first
        return (local.cast(pl.Int64) - anchor.cast(pl.Int64)[0] + step_us // 2) // step_us

    def times(self, positions: pl.Series) -> pl.Series:
        """The times at these positions, of type `dtype`; where clocks skip one, the next hour's."""
        number, unit = _parse(self.frequency)
        if self.clock == "step":
            return positions * number + self.anchor
        anchor = self._local(self._anchor_time())
        if unit in UNIT_MONTHS:
            months = pl.select(pl.format("{}mo", positions * number * UNIT_MONTHS[unit])).to_series()
            local = pl.select(pl.lit(anchor).first().dt.offset_by(pl.lit(months))).to_series()
        elif unit == BUSINESS_DAY:
            day = _days_of(anchor)[0]
            days = _workday(positions + _count_workdays(_days_of(anchor))[0]) - day
            local = (days * DAY_US + anchor.cast(pl.Int64)[0]).cast(pl.Datetime("us"))
        else:
            local = (positions * (number * UNITS_US[unit]) + anchor.cast(pl.Int64)[0]).cast(pl.Datetime("us"))
        return self._from_local(local)

    def number_rows(self, rows: pl.DataFrame) -> pl.Series:
        """Number the rows of whole series, Int64: those of a series that follow one another by a step differ by 1."""
        return pl.int_range(rows.height, eager=True) if self.spans else self.positions(rows["time"])

    def following(self, time: object, num_steps: int) -> pl.Series:
        """The times of so many steps after a time of the type `dtype`."""
        last = self.positions(pl.Series([time], dtype=self.dtype))[0]
        if not self.opening:
            return self.times(pl.Series(range(last + 1, last + 1 + num_steps), dtype=pl.Int64))
        number, unit = _parse(self.frequency)
        # A week has each opening once.
        num_weeks = 2 + num_steps // len(self.opening)
        reach = num_weeks * max(1, WEEK_US // (number * UNITS_US[unit]))
        times = self.times(pl.Series(range(last + 1, last + 1 + reach), dtype=pl.Int64))
        return times.filter(self._opening_of(times).is_in(self.opening)).head(num_steps)

    def with_opening(self, times: pl.Series) -> "TimeGrid":
        """The grid that spans holes, and knows when within a week the given times of its rows usually lie."""
        number, unit = _parse(self.frequency)
        step_us = number * UNITS_US.get(unit, WEEK_US)
        spanning = replace(self, spans=True)
        if unit == BUSINESS_DAY or step_us >= WEEK_US or WEEK_US % step_us:
            return spanning
        found = self._opening_of(times.unique()).value_counts()
        stamps = times.cast(pl.Int64).to_numpy()
        weeks = 1 + int(stamps.max() - stamps.min()) // WEEK_US
        usual = found.filter(pl.col("count") >= max(2, USUAL * weeks))[found.columns[0]].sort().to_list()
        is_regular = weeks < FEWEST_WEEKS or not usual or len(usual) == WEEK_US // step_us
        return spanning if is_regular else replace(spanning, opening=tuple(usual))

    def _opening_of(self, times: pl.Series) -> pl.Series:
        """When within a week times lie on the clocks of the zone, in microseconds since Monday."""
        if self.zone is None:
            local = times
        elif self._follows_clocks:
            local = _nominal(times, self.zone)
        else:
            local = times.dt.convert_time_zone(self.zone).dt.replace_time_zone(None)
        return (local.cast(pl.Int64) + SINCE_MONDAY_US) % WEEK_US

    def _season_of_opening(self, step_us: int) -> int:
        """Steps of a day, if each day with rows has as many, else of a week."""
        by_day = Counter(opening // DAY_US for opening in self.opening)
        is_daily = step_us < DAY_US and len(set(by_day.values())) == 1
        return next(iter(by_day.values())) if is_daily else len(self.opening)

    def find_irregular(self, times: pl.Series) -> pl.Series:
        """Mark the times that lie between two steps."""
        return self.times(self.positions(times)) != times

    def count_steps(self, times: pl.Series) -> int:
        """How many of sorted times, counted back from the last, are consecutive steps."""
        if times.is_empty():
            return 0
        positions = self.number_rows(times.to_frame("time")).to_numpy()
        is_irregular = self.find_irregular(times).to_numpy()
        is_break = is_irregular | (np.diff(positions, prepend=positions[0]) != 1)
        # A row off the grid neither follows another nor is followed.
        is_break[1:] |= is_irregular[:-1]
        is_break[0] = True
        return 0 if is_irregular[-1] else 1 + int(is_break[::-1].argmax())

    def through_end(self, times: pl.Series) -> "TimeGrid":
        """The grid of these steps on which sorted times end: this one if all lie on it, else one of another phase."""
        if not self.find_irregular(times).any():
            return self
        anchor = times.tail(1)
        if _parse(self.frequency)[1] in UNIT_MONTHS:
            local = self._local(times).dt
            # The last day of a short month may stand for a later day, which longer months then show.
            if local.day()[-1] == local.days_in_month()[-1]:
                anchor = times[[int(local.day().to_numpy().argmax())]]
        return replace(self, anchor=anchor.cast(pl.Int64)[0])

    def on_clocks(self, time: object) -> object:
        """A time of the type `dtype` as clocks in the zone show it."""
        return pl.Series([time], dtype=self.dtype).dt.convert_time_zone(self.zone)[0] if self.zone else time

    def _anchor_time(self) -> pl.Series:
        return pl.Series([self.anchor], dtype=pl.Int64).cast(self.dtype)

    @property
    def _follows_clocks(self) -> bool:
        """Whether steps are counted on the clocks of a zone."""
        number, unit = _parse(self.frequency)
        return self.clock == "utc" and (unit in UNIT_MONTHS or number * UNITS_US[unit] >= DAY_US)

    def _local(self, times: pl.Series) -> pl.Series:
        if not self._follows_clocks:
            return times.dt.replace_time_zone(None)
        assert self.zone is not None, "clocks belong to a zone"
        return times.dt.convert_time_zone(self.zone).dt.replace_time_zone(None)

    def _from_local(self, local: pl.Series) -> pl.Series:
        if not self._follows_clocks:
            return local.cast(self.dtype)
        instants, an_hour_on = (
            shifted.dt.replace_time_zone(self.zone, ambiguous="earliest", non_existent="null")
            for shifted in (local, local.dt.offset_by("1h"))
        )
        return instants.fill_null(an_hour_on).dt.convert_time_zone("UTC")


# Rows lie where at least this share of the weeks has one, if there are as many weeks.
USUAL, FEWEST_WEEKS = 0.5, 4

# The longest step that counts for a cycle, and the cycle, from short to long.
CYCLES_US = (
    (30_000_000, HOUR_US),
    (DAY_US - 1, DAY_US),
    (DAY_US, 7 * DAY_US),
    (7 * DAY_US, 52 * 7 * DAY_US),
)


def infer_grid(times: pl.DataFrame, *, clock: Clock, zone: str | None, frequency: str = "auto") -> TimeGrid | None:
    """Find the grid of sorted times, columns `series` and `time` (of the clock's type).

    With `auto` the step is the most frequent difference; None where no series has two times.
    """
    if frequency == "auto":
        step = _most_frequent_step(times, "time")
        if step is None:
            return None
        frequency = str(step) if clock == "step" else _name_step(times, step, zone)
    number, unit = _parse(frequency)
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


def show_time(time: int, clock: Clock) -> str:
    """Show a time given in microseconds since 1970, or a step number, as a person writes it."""
    if clock == "step":
        return str(time)
    shown = pl.Series([time], dtype=pl.Int64).cast(pl.Datetime("us")).dt.to_string("iso:strict")[0]
    return shown.removesuffix(".000000") + ("Z" if clock == "utc" else "")


def _name_step(times: pl.DataFrame, step_us: int, zone: str | None) -> str:
    """Name a step; what is a day or longer is measured again on the clocks of the zone."""
    # When clocks change, a day is an hour shorter or longer.
    if step_us < DAY_US - HOUR_US:
        return _name_duration(step_us)
    local = _with_local(times, zone)
    step_us = _most_frequent_step(local, "local") or step_us
    if step_us >= SHORTEST_MONTH_US and all(map(_is_monthly, local.partition_by("series"))):
        months = _most_frequent_step(local.select("series", month=_month_numbers(local["local"])), "month")
        assert months is not None, "steps of days are there, and so are steps of months"
        return _name_months(months)
    return _name_duration(step_us)


def _is_monthly(local: pl.DataFrame) -> bool:
    """Whether the times of a series lie whole months apart, though on days of its own."""
    return not TimeGrid("1mo", "naive", None, _latest_day(local, "local")).find_irregular(local["local"]).any()


def _with_local(times: pl.DataFrame, zone: str | None) -> pl.DataFrame:
    return times.with_columns(local=_nominal(times["time"], zone) if zone else pl.col("time"))


def _nominal(times: pl.Series, zone: str) -> pl.Series:
    """Instants on the clocks of a zone; a day whose midnight these skip begins at midnight all the same."""
    local = times.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    before = local.dt.offset_by("-1h")
    is_skipped = before.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").is_null()
    return before.zip_with(is_skipped, local)


def _most_frequent_step(times: pl.DataFrame, column: str) -> int | None:
    """The most frequent difference of neighbours in a series, the smallest of several."""
    steps = times.select(step=pl.when(FOLLOWS_IN_SERIES).then(pl.col(column).cast(pl.Int64).diff()))
    steps = steps.filter(pl.col("step") > 0)
    counted = steps.group_by("step").len().sort("len", "step", descending=[True, False])
    return None if counted.is_empty() else counted["step"][0]


def _latest_day(local: pl.DataFrame, column: str = "time") -> int:
    """The time with the latest day of its month, and of those the first."""
    return local.sort(pl.col("local").dt.day(), pl.lit(0) - pl.col("local").cast(pl.Int64))[column].cast(pl.Int64)[-1]


def _month_numbers(local: pl.Series) -> pl.Series:
    return local.dt.year().cast(pl.Int64) * MONTHS_PER_YEAR + local.dt.month().cast(pl.Int64)


def _days_of(local: pl.Series) -> pl.Series:
    """The days of local times, Int64, counted from 1970."""
    return local.cast(pl.Int64) // DAY_US


def _days_since(local: pl.Series, anchor: pl.Series) -> pl.Series:
    """Whole days from an anchor, rounded, since clocks may skip the anchor's time of day."""
    return (local.cast(pl.Int64) - anchor.cast(pl.Int64)[0] + DAY_US // 2) // DAY_US


def _count_workdays(days: pl.Series) -> pl.Series:
    """Workdays before each day since a Monday; those of a week-end count as its Friday."""
    since = days + SINCE_MONDAY_US // DAY_US
    weekday = since % DAYS
    return since // DAYS * WORKDAYS + weekday.clip(upper_bound=WORKDAYS - 1)


def _workday(numbers: pl.Series) -> pl.Series:
    """The days, counted from 1970, of workdays by their numbers."""
    return numbers // WORKDAYS * DAYS + numbers % WORKDAYS - SINCE_MONDAY_US // DAY_US


def _name_duration(step_us: int) -> str:
    unit, unit_us = next((unit, size) for unit, size in UNITS_US.items() if step_us % size == 0)
    return f"{step_us // unit_us}{unit}"


def _name_months(months: int) -> str:
    unit, size = next((unit, size) for unit, size in reversed(UNIT_MONTHS.items()) if months % size == 0)
    return f"{months // size}{unit}"


def _parse(frequency: str) -> tuple[int, str]:
    parts = re.fullmatch(r"(\d+)([a-z]*)", frequency)
    assert parts is not None, f"{frequency} is not a step"
    return int(parts[1]), parts[2]


def describe_times(kind: pl.DataType) -> str:
    """Describe the type of times, by the type of their column."""
    if not kind.is_temporal():
        return "plain steps"
    zone = kind.time_zone if isinstance(kind, pl.Datetime) else None
    return "times without a zone" if zone is None else "instants, with an offset or a zone"
