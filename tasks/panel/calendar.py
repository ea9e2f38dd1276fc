"""Features of a time that are known for any future: where it stands in the hour, day, week, month or year."""

import math
from collections.abc import Sequence

import polars as pl

from tasks.panel.local_times import MONTHS_PER_YEAR

MINUTES_PER_HOUR = 60
HOURS_PER_DAY = 24
DAYS_PER_WEEK = 7


def calendar_features(names: Sequence[str], zone: str | None) -> dict[str, pl.Expr]:
    """Sine and cosine, Float32, of the position of the column `time` in each named cycle, on the clocks of a zone."""
    return {
        f"known.{name}_{wave}": getattr(angle, wave)().cast(pl.Float32)
        for name, angle in calendar_angles(names, zone).items()
        for wave in ("sin", "cos")
    }


def calendar_angles(names: Sequence[str], zone: str | None) -> dict[str, pl.Expr]:
    """Position of the column `time` in each named cycle on the clocks of a zone, Float64, from 0 to below 2 pi."""
    time = pl.col("time")
    local = time if zone is None else time.dt.convert_time_zone(zone)
    cycles = _shares_of_cycles(local)
    return {name: cycles[name] * (2 * math.pi) for name in names}


def _shares_of_cycles(local: pl.Expr) -> dict[str, pl.Expr]:
    """How much of each cycle has passed, from 0 to below 1."""
    minute = local.dt.minute() + local.dt.second() / 60
    hour = local.dt.hour() + minute / MINUTES_PER_HOUR
    day = hour / HOURS_PER_DAY
    days_of_year = pl.when(local.dt.is_leap_year()).then(366).otherwise(365)
    return {
        "minute": minute / MINUTES_PER_HOUR,
        "hour": day,
        "weekday": (local.dt.weekday() - 1 + day) / DAYS_PER_WEEK,
        "day_of_month": (local.dt.day() - 1) / local.dt.days_in_month(),
        "day_of_year": (local.dt.ordinal_day() - 1) / days_of_year,
        "month": (local.dt.month() - 1) / MONTHS_PER_YEAR,
    }
