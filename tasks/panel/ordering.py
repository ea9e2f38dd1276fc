"""Rows that go back in time: sorted where the recipe says so, else refused, with a possible cause."""

from typing import NamedTuple

import polars as pl

from tasks.errors import InputError, quoted
from tasks.panel.distinctions import Distinction, find_change
from tasks.panel.policies import Sheet


class Unsorted(NamedTuple):
    """How many rows went back in time and were sorted, and what besides disorder explains it, if anything does."""

    count: int = 0
    explained: str = ""


def sort_times(sheet: Sheet, times: pl.DataFrame) -> tuple[pl.DataFrame, Unsorted]:
    """Order rows by series and time, and say which went back in time.

    Raises InputError (E-TIME-013) for the first of them, unless `unsorted` is "sort".
    """
    order = ["series", "time", *sheet.keys[1:]]
    if _is_sorted(times, order):
        return times, Unsorted()
    before = pl.col("time").shift().over(sheet.keys)
    went_back = times.with_columns(before=before, of_row=pl.col("row").shift().over(sheet.keys))
    went_back = went_back.filter(pl.col("time") < pl.col("before"))
    found = find_change(sheet, went_back) if went_back.height else None
    if went_back.height and sheet.settings.unsorted == "error":
        raise _out_of_order(sheet, went_back, found)
    explained = found.said if found else ""
    return times.sort(order, maintain_order=True), Unsorted(went_back.height, explained)


def _is_sorted(times: pl.DataFrame, columns: list[str]) -> bool:
    """Tell whether rows ascend by the first column, then the second and so on; takes no memory, as sorting would."""
    follows = pl.lit(True)
    for name in reversed(columns):
        before = pl.col(name).shift()
        follows = (pl.col(name) > before) | ((pl.col(name) == before) & follows)
    return times.select(follows.all()).item()


def _out_of_order(sheet: Sheet, went_back: pl.DataFrame, found: Distinction | None) -> InputError:
    first = went_back.row(0, named=True)
    return sheet.error(
        "E-TIME-013",
        first["row"],
        f"got {sheet.show(first['time'])} after {sheet.show(first['before'])} in series {quoted(first['series'])}"
        f"{f'; {found.said}' if found else ''}.",
        found.remedy if found else 'sort the rows, or set unsorted = "sort".',
    )
