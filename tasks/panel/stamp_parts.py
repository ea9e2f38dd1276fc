"""Times in several columns, joined to one text: a date and a time of day, or numbers from the year down.

The names of the columns say what whole numbers are; where they do not, the cells are joined by a space for
`time_format` to read.
"""

from collections.abc import Sequence

import polars as pl

from tasks.panel.source import StampedSource

PARTS = ("year", "month", "day", "hour", "minute", "second")
# How columns of such numbers are called, besides the words above.
ALSO_CALLED = {
    **dict.fromkeys(("yr", "yyyy"), "year"),
    **dict.fromkeys(("mo", "mon", "mth", "mm", "mnth"), "month"),
    **dict.fromkeys(("dy", "dd", "day_of_month", "dayofmonth"), "day"),
    **dict.fromkeys(("hr", "hrs", "hours", "h", "hh", "hour_of_day", "hourofday"), "hour"),
    **dict.fromkeys(("min", "minutes"), "minute"),
    **dict.fromkeys(("sec", "seconds"), "second"),
}
# What stands before each part once they are joined.
MARKS = {"month": "-", "day": "-", "hour": " ", "minute": ":", "second": ":"}
WHOLE = r"^(\d+)(?:[.]0*)?$"


def join_stamps(settings: StampedSource, roles: Sequence[str]) -> pl.Expr:
    """The cell of a time, of some roles: that of one column, or those of several as one text."""
    if len(roles) == 1:
        return pl.col(roles[0])
    # Tables of typed columns have no type for a date in pandas but the first instant of the day.
    cells = [pl.col(roles[0]).str.replace(r"T00:00:00([.]0+)?$", ""), *map(pl.col, roles[1:])]
    cells = [pl.when(cell != "").then(cell) for cell in cells]
    parts = name_parts(settings)
    if settings.time_format is not None:
        return pl.concat_str([cell.str.replace(WHOLE, "$1") for cell in cells], separator=" ")
    if parts is None:
        return pl.concat_str(cells, separator=" ")
    padded = [_pad(cell, part) for cell, part in zip(cells, parts, strict=True)]
    marked = [pl.lit(MARKS.get(part, "")) + cell for cell, part in zip(padded, parts, strict=True)]
    whole_hour = [pl.when(padded[-1].str.contains(r"^\d\d$")).then(pl.lit(":00")).otherwise(pl.lit(""))]
    return pl.concat_str(marked + (whole_hour if parts[-1] == "hour" else []))


def name_parts(settings: StampedSource) -> tuple[str, ...] | None:
    """What the columns of a time hold: parts from the year down without a break, or a date and then the hour.

    None where their names do not say so.
    """
    folded = [name.strip().casefold() for name in settings.time_columns]
    named = [ALSO_CALLED.get(name, name if name in PARTS else "date") for name in folded]
    if named in (["date", "hour"], ["day", "hour"]):
        return ("date", "hour")
    if len(named) > 1 and tuple(named) == PARTS[: len(named)]:
        return tuple(named)
    return None


def _pad(cell: pl.Expr, part: str) -> pl.Expr:
    """A whole number in as many digits as ISO 8601 has for it; other cells as they are."""
    digits = cell.str.replace(WHOLE, "$1")
    return cell if part == "date" else digits.str.replace(r"^(\d)$", "0$1")
