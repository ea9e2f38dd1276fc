"""Cells to readings of a clock: ISO 8601, a format of the user's, units since 1970 or plain steps, and their faults.

A cell becomes `local`, the reading of a clock, and `offset_minutes`, the clock's distance from UTC, null where the cell
does not tell it. Nothing is guessed: what has two readings is refused, with the setting that decides.
"""

import polars as pl

from tasks.panel.source import StampedSource
from tasks.sources.row_checks import Check

ISO_8601 = (
    r"^(\d{4}-\d{2}(?:-\d{2})?)"  # a month stands for its first day
    r"(?:[T ](\d{2}:\d{2})(:\d{2}(?:[.,]\d{1,9})?)?)?"
    r" ?(Z|UTC|[+-]\d{2}(?::?\d{2})?)?$"
)
DATE, CLOCK, SECONDS, OFFSET = "1", "2", "3", "4"

END_OF_DAY = r"^24:00:00([.]0*)?$"
# What in a format reads the minute, alone or with the hour.
MINUTES = ("%M", "%T", "%R", "%r", "%X", "%c")

LEAP_SECOND = r"\d{1,2}:\d{2}:60"
ISO_WEEK = r"^\d{4}-?W\d{2}"
DAY_OR_MONTH_FIRST = r"^\d{{1,2}}[{0}]\d{{1,2}}[{0}](\d{{2}}|\d{{4}})\b"
NUMBER = r"^[+-]?\d+([.]\d*)?(e[+-]?\d+)?$"

UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FIRST_PLAUSIBLE_S = 365 * 86_400  # 1971
LAST_PLAUSIBLE_S = 4_102_444_800  # 2100
MICROSECONDS = 10**6

# What bare digits most likely are, by their number.
READINGS_OF_DIGITS = {
    r"^(19|20)\d{6}$": 'time_format = "%Y%m%d"',
    r"^\d{9,10}([.]\d*)?$": 'time_unit = "s"',
    r"^\d{12,13}$": 'time_unit = "ms"',
    r"^\d{15,16}$": 'time_unit = "us"',
    r"^\d{18,19}$": 'time_unit = "ns"',
    NUMBER: 'time_unit = "step" for plain numbers, or the unit they count',
}


def read_clocks(rows: pl.DataFrame, settings: StampedSource) -> pl.DataFrame:
    """Add `local`, `offset_minutes` and `is_day` to rows with a column `time` of texts; null where one is at fault.

    Plain steps are an Int64 `local` without an offset; so are the rows' numbers in their series, the column `step`.
    A cell that is a day has a date without a time of day.
    """
    return _read_clocks(rows.with_columns(is_day=pl.lit(settings.has_days_alone)), settings)


def _read_clocks(rows: pl.DataFrame, settings: StampedSource) -> pl.DataFrame:
    time = pl.col("time")
    if settings.time_unit == "order":
        return rows.with_columns(local=pl.col("step"), offset_minutes=pl.lit(None, pl.Int32))
    if settings.time_unit == "step":
        steps = time.str.replace(r"[.]0*$", "").cast(pl.Int64, strict=False)
        return rows.with_columns(local=steps, offset_minutes=pl.lit(None, pl.Int32))
    if settings.time_unit != "text":
        return rows.with_columns(local=_since_1970(time, settings.time_unit), offset_minutes=pl.lit(0, pl.Int32))
    if settings.time_format is not None:
        # With %z Polars returns UTC. A whole hour needs its minute, a year its month.
        ending = _missing_ending(settings.time_format)
        text, time_format = time + ending, settings.time_format + ending.replace("00", "%M")
        parsed = text.str.to_datetime(time_format, time_unit="us", strict=False).dt.replace_time_zone(None)
        return rows.with_columns(
            local=parsed, offset_minutes=pl.lit(0 if "%z" in settings.time_format else None, pl.Int32)
        )
    return _read_iso_8601(rows)


def check_clocks(settings: StampedSource) -> list[Check]:
    """What can be wrong with a cell of the time column, in the order of reporting."""
    if settings.time_unit == "order":
        return []
    time = pl.col("time")
    checks = [
        _fault(
            "E-TIME-001", time.is_null() | (time == ""), "got nothing, expected a time.", "fill it in, or drop the row."
        ),
        _fault(
            "E-TIME-005",
            time.str.contains(LEAP_SECOND),
            "got {value}, a leap second, which has no place on a regular grid.",
            "write second 59, or second 00 of the next minute.",
        ),
    ]
    if settings.time_unit == "step":
        return [*checks, _no_number("a whole number of steps")]
    if settings.time_unit != "text":
        return [*checks, _no_number(f"{UNIT_NAMES[settings.time_unit]} since 1970"), *_unit_checks(settings.time_unit)]
    if settings.time_format is not None:
        expected = f'got {{value}}, expected the format "{settings.time_format}".'
        return [*checks, _fault("E-TIME-002", pl.col("local").is_null(), expected, "correct the cell, or time_format.")]
    return [*checks, *_iso_checks(settings)]


def _read_iso_8601(rows: pl.DataFrame) -> pl.DataFrame:
    # The parts are taken out once; as one expression, Polars would search for each of them.
    parts = rows.select(pl.col("time").str.extract_groups(ISO_8601)).unnest("time")
    date, offset = pl.col(DATE), pl.col(OFFSET)
    day = pl.when(date.str.len_chars() == len("2024-02")).then(date + "-01").otherwise(date)
    clock = pl.col(CLOCK).fill_null("00:00") + pl.col(SECONDS).fill_null(":00").str.replace(",", ".", literal=True)
    # The end of a day is the beginning of the next.
    is_end = clock.str.contains(END_OF_DAY)
    clock = pl.when(is_end).then(pl.lit("00:00:00")).otherwise(clock)
    local = (day + "T" + clock).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    local += pl.when(is_end).then(pl.duration(days=1)).otherwise(pl.duration(days=0))
    digits = offset.str.replace(":", "", literal=True)
    minutes = digits.str.slice(1, 2).cast(pl.Int32, strict=False) * 60
    minutes += digits.str.slice(3, 2).cast(pl.Int32, strict=False).fill_null(0)
    signed = pl.when(digits.str.starts_with("-")).then(-minutes).otherwise(minutes)
    is_utc = offset.is_in(["Z", "UTC"])
    offset_minutes = pl.when(is_utc).then(0).otherwise(signed)
    read = parts.select(local=local, offset_minutes=offset_minutes, is_day=pl.col(CLOCK).is_null())
    return rows.with_columns(read)


def _since_1970(time: pl.Expr, unit: str) -> pl.Expr:
    """Microseconds since 1970, exact for whole numbers, as the reading of a clock in UTC."""
    whole = time.str.replace(r"[.]0*$", "").cast(pl.Int64, strict=False)
    exact = whole // 1_000 if unit == "ns" else whole * (MICROSECONDS // UNITS_PER_SECOND[unit])
    rounded = (_seconds(unit) * MICROSECONDS).round().cast(pl.Int64, strict=False)
    return pl.coalesce(exact, rounded).cast(pl.Datetime("us"))


def _seconds(unit: str) -> pl.Expr:
    return pl.col("time").cast(pl.Float64, strict=False) / UNITS_PER_SECOND[unit]


def _is_plausible(unit: str) -> pl.Expr:
    return _seconds(unit).abs().is_between(FIRST_PLAUSIBLE_S, LAST_PLAUSIBLE_S)


def _unit_checks(unit: str) -> list[Check]:
    """A time within a year of 1970, or beyond 2100, betrays another unit, which is proposed."""
    got = f"got {{value}} {UNIT_NAMES[unit]} since 1970, which is close to 1970 or beyond 2100"
    others = [other for other in UNIT_NAMES if other != unit]
    proposals = [
        _fault(
            "E-TIME-008",
            ~_is_plausible(unit) & _is_plausible(other),
            f"{got}; as {UNIT_NAMES[other]} it would not be.",
            f'set time_unit = "{other}".',
        )
        for other in others
    ]
    return [
        *proposals,
        _fault("E-TIME-008", ~_is_plausible(unit), f"{got}.", "correct it, or write the time in ISO 8601."),
    ]


def _no_number(expected: str) -> Check:
    return _fault(
        "E-TIME-017",
        pl.col("local").is_null(),
        f"got {{value}}, expected {expected}.",
        "correct the cell, or time_unit.",
    )


def _missing_ending(time_format: str) -> str:
    """What a time lacks whose format ends with the hour."""
    has_minute = any(mark in time_format for mark in MINUTES)
    return ":00" if time_format.endswith(("%H", "%k")) and not has_minute else ""


def _iso_checks(settings: StampedSource) -> list[Check]:
    time = pl.col("time")
    if len(settings.time_columns) > 1:
        return [
            _fault(
                "E-TIME-002",
                ~time.str.contains(ISO_8601),
                "got {value} from the columns of the time, expected a date and a time of day in ISO 8601, or columns "
                "named year, month, day and so on, in this order.",
                'set time_format, which reads the cells with a space between them, for example "%d/%m/%Y %H:%M".',
            ),
            _no_such_time(),
        ]
    digits = [
        _fault(
            "E-TIME-007",
            time.str.contains(pattern),
            "got {value}, a number, expected a time in ISO 8601.",
            f"set {reading}.",
        )
        for pattern, reading in READINGS_OF_DIGITS.items()
    ]
    days_or_months = [
        _fault(
            "E-TIME-003",
            time.str.contains(DAY_OR_MONTH_FIRST.format(mark)),
            "got {value}, of which either number may be the day.",
            f'set time_format, for example "%d{mark}%m{mark}%Y" or "%m{mark}%d{mark}%Y %H:%M".',
        )
        for mark in "/.-"
    ]
    return [
        _fault(
            "E-TIME-006",
            time.str.contains(ISO_WEEK),
            "got {value}, a week, expected a date.",
            'set time_format = "%G-W%V-%u", which reads week dates with a day, such as 2024-W05-1.',
        ),
        *days_or_months,
        *digits,
        _fault(
            "E-TIME-002",
            ~time.str.contains(ISO_8601),
            "got {value}, expected a time in ISO 8601 such as 2024-02-29T13:30:00Z.",
            'set time_format, for example "%Y/%m/%d %H:%M".',
        ),
        _no_such_time(),
    ]


def _no_such_time() -> Check:
    return _fault(
        "E-TIME-004", pl.col("local").is_null(), "got {value}, which no calendar or clock shows.", "correct the time."
    )


def _fault(code: str, bad: pl.Expr, problem: str, fix: str) -> Check:
    return Check(code, "time", bad, problem, fix)
