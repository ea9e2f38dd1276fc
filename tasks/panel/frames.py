"""Canonical frames on disk, read as whole series over all splits, so that a step may look back across a cut.

Columns: `row`, `series`, `time`, `value.<channel>`, `known.<covariate>`, and once it is cut `split`, a position in
SPLITS (UInt8); sorted by series and time.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

ROWS_FILE = "rows.parquet"
SPLITS = ("train", "valid", "test")
TRAIN, VALID, TEST = range(len(SPLITS))
# Many short series share a chunk; one longer series is a chunk of its own.
CHUNK_ROWS = 200_000

VALUES = pl.col(r"^value\..*$")
KNOWN = pl.col(r"^known\..*$")
NUMBERS = pl.col(r"^(value|known)\..*$")


def bare_name(column: str) -> str:
    """The name of a channel or covariate, without what marks its column."""
    return column.partition(".")[2]


def count_missing(rows: pl.LazyFrame) -> dict[str, int]:
    """Numbers that are missing in a canonical table, by column."""
    counts = rows.select(NUMBERS.null_count()).collect(engine="streaming")
    return {name: count for name, count in counts.row(0, named=True).items() if count}


def count_splits(rows: pl.LazyFrame) -> dict[str, int]:
    """Rows of each split, by its name."""
    counts = dict(rows.group_by("split").len().collect(engine="streaming").iter_rows())
    return {name: counts.get(number, 0) for number, name in enumerate(SPLITS)}


def read_windows(path: Path, max_rows: int = CHUNK_ROWS) -> Iterator[pl.DataFrame]:
    """Yield whole series of a canonical table, as many as have at most `max_rows` rows together, or a longer one alone.

    The same table always gives the same windows.
    """
    held: list[pl.DataFrame] = []
    with pq.ParquetFile(path, pre_buffer=False) as parquet:
        for batch in parquet.iter_batches(max_rows):
            held += [pl.DataFrame(batch)] if batch.num_rows else []
            if sum(rows.height for rows in held) <= max_rows or held[0]["series"][0] == held[-1]["series"][-1]:
                continue
            rows = pl.concat(held)
            while rows.height > max_rows and (end := _find_end(rows["series"], max_rows)):
                yield rows[:end]
                rows = rows[end:]
            held = [rows]
    if held and (rows := pl.concat(held)).height:
        yield rows


def _find_end(series: pl.Series, max_rows: int) -> int:
    """Where a window ends that begins with these rows of sorted series; 0 where the first of them may go on."""
    start = series.search_sorted(series[max_rows], side="left")
    if start:
        return start
    end = series.search_sorted(series[max_rows], side="right")
    return end if end < series.len() else 0
