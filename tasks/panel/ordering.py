"""Rows put in order: what goes back in time is sorted, what repeats a time is merged, and account is given of it.

Rows that go back in time are refused, with a possible cause, unless the recipe says to sort them. Rows that repeat the
time of another of their series are one measurement written twice, or rows that differ. They are merged only where the
recipe says so, nothing besides the columns it names tells them apart, and few of them differ; `expect_merged` confirms
the rest.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from tasks.errors import InputError, plural, quoted
from tasks.panel.distinctions import Distinction, find_change, find_distinction
from tasks.panel.frames import bare_name
from tasks.panel.policies import Sheet
from tasks.panel.source import StampedSource
from tasks.panel.summaries import OrderedSummary
from tasks.sources.intake import Intake

# The share of rows that may be merged unasked, rounded up to a whole row. Copies do not count: nothing goes with them.
MAX_SHARE = 0.01
PLACE = ("row", "file", "line")
NO_DUPLICATES = pl.DataFrame(schema={"row": pl.UInt32, "of_row": pl.UInt32})


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


def describe_reading(found: OrderedSummary, settings: StampedSource, intake: Intake, *, num_rows: int) -> list[str]:
    """Say what `describe_changes` does, and how many numbers are missing."""
    missing = [f"{plural(count, 'missing value')} in {_column(name)}" for name, count in found.missing.items()]
    said = describe_changes(
        settings,
        intake,
        num_rows=num_rows,
        unsorted=Unsorted(found.unsorted, found.unsorted_explained),
        num_merged=found.duplicates,
        sentinels=found.sentinels,
    )
    return said + missing


def describe_changes(
    settings: StampedSource,
    intake: Intake,
    *,
    num_rows: int,
    unsorted: Unsorted,
    num_merged: int,
    sentinels: Mapping[str, int],
) -> list[str]:
    """Say how many rows were left out, and of the good ones how many were sorted or merged or held sentinels."""
    counted = {
        _describe_sorting(unsorted): unsorted.count,
        describe_merging(settings.duplicates, num_merged, num_rows - num_merged): num_merged,
    }
    counted |= {
        f"read {plural(count, 'sentinel')} in {_column(name)} as missing": count for name, count in sentinels.items()
    }
    return intake.warnings_of_left_out() + [warning for warning, count in counted.items() if count]


def _describe_sorting(unsorted: Unsorted) -> str:
    said = f"sorted {plural(unsorted.count, 'row')} that went back in time"
    return f"{said}, though {unsorted.explained}: check that they are one series" if unsorted.explained else said


def describe_merging(policy: str, num_merged: int, num_left: int) -> str:
    """Say with numbers what became of rows that repeated a time."""
    kept = "their mean" if policy == "mean" else f"the {policy}"
    return (
        f"{num_left + num_merged:,} rows became {num_left:,}: {plural(num_merged, 'row')} repeated a time of their "
        f'series; of such rows {kept} was kept (duplicates = "{policy}")'
    )


def _column(name: str) -> str:
    return quoted(bare_name(name))
