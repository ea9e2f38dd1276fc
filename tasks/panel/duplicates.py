"""Rows that repeat the time of another row of their series: one measurement written twice, or rows that differ.

They are merged only where the recipe says so, nothing besides the columns it names tells them apart, and few of them
differ; `expect_merged` confirms the rest.
"""

import math

import polars as pl

from tasks.errors import InputError, quoted
from tasks.panel.distinctions import find_distinction
from tasks.panel.policies import Sheet

# The share of rows that may be merged unasked, rounded up to a whole row. Copies do not count: nothing goes with them.
MAX_SHARE = 0.01
PLACE = ("row", "file", "line")
NO_DUPLICATES = pl.DataFrame(schema={"row": pl.UInt32, "of_row": pl.UInt32})


def find_duplicates(sheet: Sheet, ordered: pl.DataFrame) -> pl.DataFrame:
    """Rows whose time their series has had before, with the row that had it first: columns row, of_row.

    Raises InputError: E-TIME-014 for the first of them, unless `duplicates` says which counts; without `expect_merged`
    E-TIME-020 if more than 1 % of all rows differ, and E-TIME-021 where another column tells such rows apart.
    """
    key = [*sheet.keys, "time"]
    repeated = ordered.filter(pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in key))
    if repeated.is_empty():
        return NO_DUPLICATES
    groups = ordered.join(repeated.select(key).unique(), on=key, how="semi", maintain_order="left")
    groups = groups.with_columns(of_row=pl.col("row").first().over(key))
    duplicates = groups.filter(pl.col("row") != pl.col("of_row"))
    if not sheet.settings.expect_merged or sheet.settings.duplicates == "error":
        _refuse_unexpected(sheet, groups, ordered.height)
    return duplicates.select("row", "of_row")


def _refuse_unexpected(sheet: Sheet, groups: pl.DataFrame, num_rows: int) -> None:
    """Raise an error unless the repeated rows of `groups` are to be merged, are few, and nothing tells them apart."""
    policy, found = sheet.settings.duplicates, find_distinction(sheet, groups)
    duplicates = groups.filter(pl.col("row") != pl.col("of_row")).sort("row")
    are_many = _count_differing(sheet, groups) > math.ceil(MAX_SHARE * num_rows)
    verb = "repeats" if duplicates.height == 1 else "repeat"
    counted = f"{duplicates.height:,} of {num_rows:,} rows {verb} a time of their series"
    reason = f"; {found.said}" if found else ""
    if policy == "error":
        raise _repeated(sheet, duplicates, f"({counted}){reason}", found.remedy if found else _ask(are_many=are_many))
    if found or are_many:
        raise sheet.error(
            "E-TIME-020" if are_many else "E-TIME-021",
            duplicates["row"][0],
            f'duplicates = "{policy}" would turn {num_rows:,} rows into {num_rows - duplicates.height:,}: {counted}'
            f"{f', more than {MAX_SHARE:.0%}' if are_many else ''}{reason}.",
            f"{found.remedy if found else 'remove the extra rows.'} If they are one measurement each, set "
            "expect_merged = true.",
        )


def _count_differing(sheet: Sheet, groups: pl.DataFrame) -> int:
    """Number of repeated rows in groups whose rows are not all the same in everything that is read of them."""
    parked = pl.scan_parquet(sheet.path)
    read = pl.struct(pl.exclude(*PLACE, "of_row"))
    members = groups.select("row", "of_row").lazy().join(parked, on="row", how="left")
    counted = members.group_by("of_row").agg(num_repeats=pl.len() - 1, kinds=read.n_unique())
    return counted.filter(pl.col("kinds") > 1).select(pl.col("num_repeats").sum()).collect(engine="streaming").item()


def _repeated(sheet: Sheet, duplicates: pl.DataFrame, reason: str, fix: str) -> InputError:
    first = duplicates.row(0, named=True)
    file, line = sheet.place(first["of_row"])
    got = f"got {sheet.show(first['time'])} again in series {quoted(first['series'])}, first in {file}:{line}"
    return sheet.error("E-TIME-014", first["row"], f"{got} {reason}.", fix)


def _ask(*, are_many: bool) -> str:
    confirmed = ", and expect_merged = true" if are_many else ""
    return f'remove one of the rows, or set duplicates = "first", "last" or "mean"{confirmed}.'
