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
CODES = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M"}


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
        is_time = isinstance(time, datetime.datetime)
        return f"{time:%-d %B %Y %H:%M}".removesuffix(" 00:00") if is_time else str(time)

    @property
    def ends_in_future(self) -> bool:
        """Whether some times are years ahead."""
        last = self.times.dt.year().max()
        return isinstance(last, int) and last > datetime.datetime.now(tz=datetime.UTC).year + 1

    @property
    def is_steps(self) -> bool:
        """Whether times are plain numbers."""
        return self.unit == "step"


def read_times(column: Column) -> list[Reading]:
    """All ways to read a column as times; the steps of plain whole numbers are not among them."""
    if column.filled.is_empty():
        return []
    epoch = _read_epoch(column) if column.is_number else None
    return [epoch] if epoch else list(_read_texts((column.name,), column.filled, column.cells))


def read_together(columns: Sequence[Column]) -> list[Reading]:
    """All ways to read columns, joined by a space, as one time."""
    joined = _join(columns)
    return list(_read_texts(tuple(one.name for one in columns), joined.drop_nulls(), joined))


def read_parts(columns: dict[str, Column]) -> Reading | None:
    """Times from columns of year, month, day and hour, by their names and ranges."""
    found = {part: one for one in reversed(columns.values()) for part in PARTS if is_part(one, part)}
    if "year" not in found or "month" not in found or _range(found["year"])[0] < 1000:  # noqa: PLR2004
        return None
    used = list(itertools.takewhile(found.__contains__, PARTS))
    return _read_joined([found[part] for part in used], " ".join(CODES[part] for part in used))


def read_hours(date: Reading, columns: dict[str, Column]) -> Reading | None:
    """Times from a column of dates and one of the hours of a day."""
    hours = next((one for one in columns.values() if is_part(one, "hour")), None)
    if hours is None or not 0 <= _range(hours)[0] <= _range(hours)[1] < HOURS_PER_DAY:
        return None
    return _read_joined([*(columns[name] for name in date.columns), hours], f"{date.format or '%Y-%m-%d'} %H")


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


def is_part(column: Column, part: str) -> bool:
    """Whether a column holds years, months, days, hours or minutes, by its name."""
    return folded(column.name) in PARTS[part] and column.is_whole


def rank(reading: Reading) -> tuple[bool, bool, bool]:
    """What is rather the time of a row: by its name, and by what it holds."""
    names = TIMES | STEPS if reading.is_steps else TIMES
    return (not reading.is_steps, is_named(reading.columns[0], names), len(reading.columns) > 1)


def _join(columns: Sequence[Column]) -> pl.Series:
    return pl.select(pl.concat_str([one.cells for one in columns], separator=" ")).to_series()


def _read_joined(columns: Sequence[Column], shape: str) -> Reading | None:
    """Columns whose format is known; the parser of texts wants minutes after an hour."""
    joined = _join(columns).str.replace_all(r"\b(\d)\b", "0$1").str.replace_all(r"(\d)[.]0+\b", "$1")
    is_hour = shape.endswith("%H")
    times = _parse(joined + ":00" if is_hour else joined, f"{shape}:%M" if is_hour else shape)
    if times.null_count() > joined.null_count():
        return None
    return Reading(tuple(one.name for one in columns), times, shape)


def _read_texts(names: tuple[str, ...], filled: pl.Series, cells: pl.Series) -> Iterator[Reading]:
    distinct = filled.unique(maintain_order=True)
    if distinct.str.contains(ISO_8601).all():
        has_offset = distinct.str.contains(OFFSET) & distinct.str.contains(":")
        parsed = _parse_iso(cells.str.replace(rf" ?{OFFSET}", "") if has_offset.all() else cells)
        if parsed.null_count() == cells.null_count():
            yield Reading(names, parsed, has_offset=bool(has_offset.any()))
        return
    sample = distinct.head(MAX_EXAMINED)
    for shape in _formats_of(distinct[0]):
        # Short names of months are read as long ones, too.
        is_short = "%B" in shape and not _parse(sample, shape.replace("%B", "%b")).null_count()
        if _parse(sample.head(100), shape).null_count() or _parse(sample, shape).null_count() or is_short:
            continue
        parsed = _parse(cells, shape)
        if parsed.null_count() == cells.null_count() and _is_plausible(parsed, shape):
            yield Reading(names, parsed, shape)


def _is_plausible(times: pl.Series, shape: str) -> bool:
    """Whether digits without marks between them are years of these centuries."""
    years = times.dt.year()
    return ("%m%d" not in shape and "%Y%m" not in shape) or bool(years.is_between(1700, 2100).all())


def _parse_iso(cells: pl.Series) -> pl.Series:
    parts = cells.str.replace(",", ".", literal=True).str.replace(" ", "T", literal=True)
    for shorter, rest in (("2024-02", "-01"), ("2024-02-01", "T00:00"), ("2024-02-01T00:00", ":00")):
        parts = pl.select(
            pl.when(parts.str.len_chars() == len(shorter)).then(parts + rest).otherwise(parts)
        ).to_series()
    return _parse(parts, "%Y-%m-%dT%H:%M:%S%.f")


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
        if match := re.fullmatch(date + clock, cell):
            marks = {"s": "", "t": ""} | match.groupdict()
            yield from ((one + other).format(**marks) for one, other in itertools.product(dates, clocks))


def _read_epoch(column: Column) -> Reading | None:
    """Numbers that count a unit since 1970, if they go up in steps of one size, as no ids do, or are called a time."""
    low, high = _range(column)
    unit = next((unit for unit, size in UNITS.items() if FIRST_S * size <= low <= high <= LAST_S * size), None)
    steps = column.numbers.drop_nulls().diff().drop_nulls()
    is_even = steps.len() > 1 and steps[0] > 1 and bool((steps == steps[0]).all())
    if unit is None or not (is_named(column.name, TIMES) or is_even):
        return None
    micros = (column.numbers * (10**6 / UNITS[unit])).round().cast(pl.Int64).cast(pl.Datetime("us"))
    return Reading((column.name,), micros, unit=unit, has_offset=True)


def _range(column: Column) -> tuple[float, float]:
    """The least and the largest number."""
    return float(column.numbers.min() or 0), float(column.numbers.max() or 0)  # ty: ignore[invalid-argument-type]
