"""How the cells of columns may be read as times: every format that reads all of them, so that none is guessed."""

import datetime
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from tasks.discovery.columns import Column
from tasks.discovery.words import PARTS, STEPS, TIMES, folded, is_named

ISO_8601 = r"^\d{4}-\d{2}(-\d{2})?([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?)? ?(Z|UTC|[+-]\d{2}(:?\d{2})?)?$"
OFFSET = r"(Z|UTC|[+-]\d{2}(:?\d{2})?)$"
CLOCK = r"^\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?$|^\d{2}[.]\d{2}[.]\d{2}$"
DATE_ONLY = r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}$|^\d{8}$|^\d{1,2}[-/. ][A-Za-z]{3,9}[-/. ]\d{2,4}$"
MAX_EXAMINED = 50_000
DATES = {
    r"\d{4}(?P<s>[-/.])\d{1,2}(?P=s)\d{1,2}": ("%Y{s}%m{s}%d", "%Y{s}%d{s}%m"),
    r"\d{1,2}(?P<s>[-/.])\d{1,2}(?P=s)\d{4}": ("%d{s}%m{s}%Y", "%m{s}%d{s}%Y"),
    r"\d{1,2}(?P<s>[-/.])\d{1,2}(?P=s)\d{2}": ("%d{s}%m{s}%y", "%m{s}%d{s}%y", "%y{s}%m{s}%d"),
    r"(19|20)\d{6}": ("%Y%m%d",),
    r"\d{8}": ("%d%m%Y", "%m%d%Y"),
    r"(19|20)\d{2}(0[1-9]|1[0-2])": ("%Y%m",),
    r"\d{4}(?P<s>[-/.])\d{1,2}": ("%Y{s}%m",),
    r"\d{1,2}(?P<s>[-/.])\d{4}": ("%m{s}%Y",),
    r"\d{1,2}(?P<s>[-/. ])[A-Za-z]{3,9}(?P=s)\d{4}": ("%d{s}%b{s}%Y", "%d{s}%B{s}%Y"),
    r"\d{1,2}(?P<s>[-/. ])[A-Za-z]{3,9}(?P=s)\d{2}": ("%d{s}%b{s}%y", "%d{s}%B{s}%y"),
    r"\d{1,2} \d{1,2}, \d{4}": ("%m %d, %Y", "%d %m, %Y"),
    r"[A-Za-z]{3,9}(?P<s> )\d{1,2}, \d{4}": ("%b %d, %Y", "%B %d, %Y"),
    r"[A-Za-z]{3,9}(?P<s>[-/. ])\d{4}": ("%b{s}%Y", "%B{s}%Y"),
    r"[A-Za-z]{3,9}(?P<s>[-/. ])\d{2}": ("%b{s}%y", "%B{s}%y"),
    r"\d{4}(?P<s>[-/. ])[A-Za-z]{3,9}": ("%Y{s}%b", "%Y{s}%B"),
}
CLOCKS = {
    r"": ("",),
    r"(?P<t>[T ])\d{1,2}:\d{2}": ("{t}%H:%M",),
    r"(?P<t>[T ])\d{1,2}:\d{2}:\d{2}": ("{t}%H:%M:%S",),
    r"(?P<t>[T ])\d{1,2}:\d{2}:\d{2}[.]\d+": ("{t}%H:%M:%S%.f",),
    r"(?P<t>[T ])\d{1,2}:\d{2} ?[AaPp][Mm]": ("{t}%I:%M %p", "{t}%I:%M%p"),
    r"(?P<t>[T ])\d{1,2}:\d{2}:\d{2} ?[AaPp][Mm]": ("{t}%I:%M:%S %p", "{t}%I:%M:%S%p"),
    r"(?P<t>[T ])\d{1,2}[.]\d{2}[.]\d{2}": ("{t}%H.%M.%S",),
    r"(?P<t>[T ])\d{4}": ("{t}%H%M",),
}
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FIRST_S, LAST_S = 315_532_800, 4_102_444_800  # 1980 to 2100
HOURS_PER_DAY = 24


@dataclass(frozen=True)
class Reading:
    """One way to read columns as times: by a format, ISO 8601 (None), a unit since 1970, or as steps."""

    columns: tuple[str, ...]
    times: pl.Series
    format: str | None = None
    unit: str = "text"
    has_offset: bool = False

    def show(self, row: int = 0) -> str:
        """A time as it is read."""
        time = self.times[row]
        return (
            str(time) if not isinstance(time, datetime.datetime) else f"{time:%-d %B %Y %H:%M}".removesuffix(" 00:00")
        )

    @property
    def ends_in_future(self) -> bool:
        """Whether some times are years ahead."""
        last = self.times.dt.year().max()
        return isinstance(last, int) and last > datetime.datetime.now(tz=datetime.UTC).year + 1

    @property
    def shape(self) -> str:
        """How it reads, for a comparison of two readings."""
        return self.format or self.unit

    @property
    def is_steps(self) -> bool:
        """Whether times are plain numbers."""
        return self.unit == "step"


def read_times(column: Column) -> list[Reading]:
    """All ways to read a column as times; the steps of plain whole numbers are not among them."""
    filled = column.filled
    if filled.is_empty():
        return []
    if column.is_number and (epochs := _epochs(column)):
        return epochs
    return list(_read_texts((column.name,), filled, column.cells))


def read_together(columns: Sequence[Column]) -> list[Reading]:
    """All ways to read columns, joined by a space, as one time."""
    joined = pl.select(pl.concat_str([one.cells for one in columns], separator=" ")).to_series()
    return list(_read_texts(tuple(one.name for one in columns), joined.drop_nulls(), joined))


def read_parts(columns: dict[str, Column]) -> Reading | None:
    """Times from columns of year, month, day and hour, by their names and ranges."""
    found: dict[str, Column] = {}
    for part, names in PARTS.items():
        named = [one for one in columns.values() if folded(one.name) in names and one.is_whole]
        if named:
            found[part] = named[0]
    if "year" not in found or "month" not in found or _smallest(found["year"]) < 1000:  # noqa: PLR2004
        return None
    used = ["year", "month", *(["day"] if "day" in found else [])]
    if "day" in found and "hour" in found:
        used += ["hour", *(["minute"] if "minute" in found else [])]
    parts = {part: found[part].numbers.cast(pl.Int64) for part in used}
    try:
        times = pl.select(
            pl.datetime(parts["year"], parts["month"], parts.get("day", pl.lit(1)), parts.get("hour", pl.lit(0)))
        ).to_series()
    except pl.exceptions.PolarsError:
        return None
    codes = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M"}
    return Reading(tuple(found[part].name for part in used), times, " ".join(codes[part] for part in used))


def read_hours(date: Reading, columns: dict[str, Column]) -> Reading | None:
    """Times from a column of dates and one of the hours of a day."""
    hours = [one for one in columns.values() if folded(one.name) in PARTS["hour"] and one.is_whole]
    if not hours or not 0 <= _smallest(hours[0]) <= _largest(hours[0]) < HOURS_PER_DAY:
        return None
    times = pl.select(date.times + hours[0].numbers.cast(pl.Int64) * pl.duration(hours=1)).to_series()
    return Reading((*date.columns, hours[0].name), times, f"{date.format or '%Y-%m-%d'} %H")


def read_steps(column: Column) -> Reading | None:
    """Plain whole numbers as steps."""
    if not column.is_whole or column.numbers.null_count():
        return None
    return Reading((column.name,), column.numbers.cast(pl.Int64), unit="step")


def is_clock(column: Column) -> bool:
    """Whether cells are times of day."""
    return not column.filled.is_empty() and bool(column.filled.str.contains(CLOCK).all())


def is_date(column: Column) -> bool:
    """Whether cells are dates without a time of day."""
    return not column.filled.is_empty() and bool(column.filled.str.contains(DATE_ONLY).all())


def rank(reading: Reading) -> tuple[bool, bool, bool]:
    """What is rather the time of a row: by its name, and by what it holds."""
    names = TIMES | STEPS if reading.is_steps else TIMES
    return (not reading.is_steps, is_named(reading.columns[0], names), len(reading.columns) > 1)


def _read_texts(names: tuple[str, ...], filled: pl.Series, cells: pl.Series) -> Iterator[Reading]:
    distinct = filled.unique(maintain_order=True)
    if distinct.str.contains(ISO_8601).all():
        has_offset = distinct.str.contains(OFFSET) & distinct.str.contains(":")
        plain = cells.str.replace(r" ?(Z|UTC|[+-]\d{2}(:?\d{2})?)$", "") if has_offset.all() else cells
        parsed = _parse_iso(plain)
        if parsed.null_count() == cells.null_count():
            yield Reading(names, parsed, has_offset=bool(has_offset.any()))
        return
    for shape in _formats_of(distinct[0]):
        sample = distinct.head(MAX_EXAMINED)
        if _parse(sample.head(100), shape).null_count() or _parse(sample, shape).null_count():
            continue
        if "%B" in shape and not _parse(sample, shape.replace("%B", "%b")).null_count():
            continue
        parsed = _parse(cells, shape)
        if parsed.null_count() == cells.null_count() and _is_plausible(parsed, shape):
            yield Reading(names, parsed, shape)


def _is_plausible(times: pl.Series, shape: str) -> bool:
    years = times.dt.year()
    low, high = years.min(), years.max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    return ("%m%d" not in shape and "%Y%m" not in shape) or (low >= 1700 and high <= 2100)  # noqa: PLR2004


def _parse_iso(cells: pl.Series) -> pl.Series:
    parts = cells.str.replace(",", ".", literal=True).str.replace(" ", "T", literal=True)
    whole = pl.when(parts.str.len_chars() == len("2024-02")).then(parts + "-01").otherwise(parts)
    whole = pl.when(whole.str.contains("T")).then(whole).otherwise(whole + "T00:00")
    whole = pl.when(whole.str.len_chars() == len("2024-02-01T00:00")).then(whole + ":00").otherwise(whole)
    return pl.select(whole.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)).to_series()


def _parse(cells: pl.Series, shape: str) -> pl.Series:
    if cells.is_empty():
        return pl.Series([], dtype=pl.Datetime("us"))
    try:
        return cells.str.to_datetime(shape, time_unit="us", strict=False)
    except pl.exceptions.PolarsError:
        return pl.Series([None] * cells.len(), dtype=pl.Datetime("us"))


def _formats_of(cell: str) -> Iterator[str]:
    """Formats that have the shape of a cell."""
    for (date, dates), (clock, clocks) in itertools.product(DATES.items(), CLOCKS.items()):
        match = re.fullmatch(date + clock, cell)
        if match:
            parts = match.groupdict()
            yield from (
                one.format(s=parts.get("s", "")) + other.format(t=parts.get("t", ""))
                for one, other in itertools.product(dates, clocks)
            )


def _epochs(column: Column) -> list[Reading]:
    """Numbers that count a unit since 1970, if the column is in order or called a time."""
    numbers = column.numbers.drop_nulls()
    low, high = _smallest(column), _largest(column)
    unit = next((unit for unit, size in UNITS.items() if FIRST_S * size <= low <= high <= LAST_S * size), None)
    if unit is None or not (is_named(column.name, TIMES) or _is_even(numbers)):
        return []
    micros = (column.numbers * (10**6 / UNITS[unit])).round().cast(pl.Int64).cast(pl.Datetime("us"))
    return [Reading((column.name,), micros, unit=unit, has_offset=True)]


def _is_even(numbers: pl.Series) -> bool:
    """Whether numbers go up in steps of one size, as no ids do."""
    steps = numbers.diff().drop_nulls()
    return steps.len() > 1 and steps[0] > 1 and bool((steps == steps[0]).all())


def _smallest(column: Column) -> float:
    return float(column.numbers.min() or 0)  # ty: ignore[invalid-argument-type] (of numbers it is one)


def _largest(column: Column) -> float:
    return float(column.numbers.max() or 0)  # ty: ignore[invalid-argument-type] (of numbers it is one)
