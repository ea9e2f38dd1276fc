"""Names for the columns of a table without a header line, by what they hold."""

from collections import Counter

import polars as pl

from tasks.discovery.columns import Column, as_column
from tasks.discovery.notation import Notation
from tasks.discovery.times import is_clock, is_date, read_times


def name_columns(frame: pl.DataFrame) -> list[str]:
    """A name for each column; those that hold the same are numbered."""
    kinds = [_kind_of(as_column(column, Notation())) for column in frame.iter_columns()]
    totals, so_far = Counter(kinds), Counter[str]()
    names = []
    for kind in kinds:
        so_far[kind] += 1
        names.append(kind if totals[kind] == 1 else f"{kind}_{so_far[kind]}")
    return names


def _kind_of(column: Column) -> str:
    tests = {
        "empty": column.filled.is_empty,
        "text": lambda: column.is_text,
        "clock": lambda: is_clock(column),
        "date": lambda: is_date(column),
        "label": lambda: column.is_class,
        "time": lambda: bool(read_times(column)),
        "value": lambda: column.is_number,
    }
    return next((kind for kind, holds in tests.items() if holds()), "name")
