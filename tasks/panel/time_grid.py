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

from tasks.panel.local_times import MONTHS_PER_YEAR, month_numbers, nominal
from tasks.panel.workdays import (
    DAY_US,
    DAYS_PER_WEEK,
    SINCE_MONDAY_US,
    WORKDAYS,
    count_workdays,
    days_of,
    find_workday,
)

HOUR_US = 3_600_000_000
WEEK_US = DAYS_PER_WEEK * DAY_US
UNITS_US = {
    **{"w": WEEK_US, "d": DAY_US, "h": HOUR_US, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1},
    "bd": DAY_US,
}
BUSINESS_DAY = "bd"
UNIT_MONTHS = {"mo": 1, "q": 3, "y": 12}

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
        number, unit = parse_frequency(self.frequency)
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
        number, unit = parse_frequency(self.frequency)
        if self.clock == "step":
            return (times - self.anchor) // number
        local, anchor = self._local(times), self._local(self._anchor_time())
        if unit in UNIT_MONTHS:
            return (month_numbers(local) - month_numbers(anchor)[0]) // (number * UNIT_MONTHS[unit])
        step_us = number * UNITS_US[unit]
        # Rounded, since clocks may skip the anchor's time of day.
        steps = (local.cast(pl.Int64) - anchor.cast(pl.Int64)[0] + step_us // 2) // step_us
        if unit != BUSINESS_DAY:
            return steps
        first = days_of(anchor)
        return count_workdays(steps + first[0]) - count_workdays(first)[0]

    def times(self, positions: pl.Series) -> pl.Series:
        """The times at these positions, of type `dtype`; where clocks skip one, the next hour's."""
        number, unit = parse_frequency(self.frequency)
        if self.clock == "step":
            return positions * number + self.anchor
        anchor = self._local(self._anchor_time())
        if unit in UNIT_MONTHS:
            months = pl.select(pl.format("{}mo", positions * number * UNIT_MONTHS[unit])).to_series()
            local = pl.select(pl.lit(anchor).first().dt.offset_by(pl.lit(months))).to_series()
        else:
            if unit == BUSINESS_DAY:
                first = days_of(anchor)
                positions = find_workday(positions + count_workdays(first)[0]) - first[0]
            local = (positions * (number * UNITS_US[unit]) + anchor.cast(pl.Int64)[0]).cast(pl.Datetime("us"))
        return self._from_local(local)

    def number_rows(self, rows: pl.DataFrame) -> pl.Series:
        """Number the rows of whole series, Int64: those of a series that follow one another by a step differ by 1."""
        return pl.int_range(rows.height, eager=True) if self.spans else self.positions(rows["time"])

    def following(self, time: object, num_steps: int) -> pl.Series:
        """The times of `num_steps` steps after a time of the type `dtype`."""
        last = self.positions(pl.Series([time], dtype=self.dtype))[0]
        if not self.opening:
            return self.times(pl.Series(range(last + 1, last + 1 + num_steps), dtype=pl.Int64))
        number, unit = parse_frequency(self.frequency)
        # A week has each opening once.
        num_weeks = 2 + num_steps // len(self.opening)
        reach = num_weeks * max(1, WEEK_US // (number * UNITS_US[unit]))
        times = self.times(pl.Series(range(last + 1, last + 1 + reach), dtype=pl.Int64))
        return times.filter(self.within_week(times).is_in(self.opening)).head(num_steps)

    def within_week(self, times: pl.Series) -> pl.Series:
        """When within a week times lie on the clocks of the zone, in microseconds since Monday."""
        if self.zone is None:
            local = times
        elif self._follows_clocks:
            local = nominal(times, self.zone)
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
        if parse_frequency(self.frequency)[1] in UNIT_MONTHS:
            local = self._local(times).dt
            # The last day of a short month may stand for a later day, which longer months then show.
            if local.day()[-1] == local.days_in_month()[-1]:
                anchor = times[[int(local.day().to_numpy().argmax())]]
        return self._at_phase(anchor.cast(pl.Int64)[0])

    def _at_phase(self, anchor: int) -> "TimeGrid":
        """The grid of these steps from another anchor, whose openings are as much later."""
        number, unit = parse_frequency(self.frequency)
        phase = (anchor - self.anchor) % (number * UNITS_US[unit]) if self.opening else 0
        return replace(self, anchor=anchor, opening=tuple((start + phase) % WEEK_US for start in self.opening))

    def on_clocks(self, time: object) -> object:
        """A time of the type `dtype` as clocks in the zone show it."""
        return pl.Series([time], dtype=self.dtype).dt.convert_time_zone(self.zone)[0] if self.zone else time

    def show(self, time: int) -> str:
        """Show a time given in microseconds since 1970, or a step number: of days without a zone the date alone."""
        shown = show_time(time, self.clock)
        return shown.removesuffix("T00:00:00") if self._steps_days else shown

    def _anchor_time(self) -> pl.Series:
        return pl.Series([self.anchor], dtype=pl.Int64).cast(self.dtype)

    @property
    def _follows_clocks(self) -> bool:
        """Whether steps are counted on the clocks of a zone."""
        return self.clock == "utc" and self._steps_days

    @property
    def _steps_days(self) -> bool:
        """Whether a step is a day or longer."""
        number, unit = parse_frequency(self.frequency)
        return self.clock != "step" and (unit in UNIT_MONTHS or number * UNITS_US[unit] >= DAY_US)

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


# The longest step that counts for a cycle, and the cycle, from short to long.
CYCLES_US = (
    (30_000_000, HOUR_US),
    (DAY_US - 1, DAY_US),
    (DAY_US, 7 * DAY_US),
    (7 * DAY_US, 52 * 7 * DAY_US),
)


def show_time(time: int, clock: Clock) -> str:
    """Show a time given in microseconds since 1970, or a step number, as a person writes it."""
    if clock == "step":
        return str(time)
    shown = pl.Series([time], dtype=pl.Int64).cast(pl.Datetime("us")).dt.to_string("iso:strict")[0]
    return shown.removesuffix(".000000") + ("Z" if clock == "utc" else "")


def parse_frequency(frequency: str) -> tuple[int, str]:
    """The number and the unit of a step."""
    parts = re.fullmatch(r"(\d+)([a-z]*)", frequency)
    assert parts is not None, f"{frequency} is not a step"
    return int(parts[1]), parts[2]


def describe_times(kind: pl.DataType) -> str:
    """Describe the type of times, by the type of their column."""
    if not kind.is_temporal():
        return "plain steps"
    zone = kind.time_zone if isinstance(kind, pl.Datetime) else None
    return "times without a zone" if zone is None else "instants, with an offset or a zone"
