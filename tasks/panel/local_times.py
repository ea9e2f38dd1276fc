"""Instants as clocks in a zone show them, and their months."""

import polars as pl

MONTHS_PER_YEAR = 12


def nominal(times: pl.Series, zone: str) -> pl.Series:
    """Instants on the clocks of a zone; a day whose midnight these skip begins at midnight."""
    local = times.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    before = local.dt.offset_by("-1h")
    is_skipped = before.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").is_null()
    return before.zip_with(is_skipped, local)


def month_numbers(local: pl.Series) -> pl.Series:
    """The months of local times, counted from the year 0."""
    return local.dt.year().cast(pl.Int64) * MONTHS_PER_YEAR + local.dt.month().cast(pl.Int64)
