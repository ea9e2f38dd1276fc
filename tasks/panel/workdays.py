"""Days from Monday to Friday, numbered one after the other."""

import polars as pl

DAY_US = 86_400_000_000
WORKDAYS, DAYS_PER_WEEK = 5, 7
# 1970 began on a Thursday: by so much the first Monday was gone.
SINCE_MONDAY_US = 3 * DAY_US


def days_of(local: pl.Series) -> pl.Series:
    """The days of local times, Int64, counted from 1970."""
    return local.cast(pl.Int64) // DAY_US


def count_workdays(days: pl.Series) -> pl.Series:
    """Workdays before each day since a Monday; those of a week-end count as its Friday."""
    since = days + SINCE_MONDAY_US // DAY_US
    weekday = since % DAYS_PER_WEEK
    return since // DAYS_PER_WEEK * WORKDAYS + weekday.clip(upper_bound=WORKDAYS - 1)


def find_workday(numbers: pl.Series) -> pl.Series:
    """The days, counted from 1970, of workdays by their numbers."""
    return numbers // WORKDAYS * DAYS_PER_WEEK + numbers % WORKDAYS - SINCE_MONDAY_US // DAY_US
