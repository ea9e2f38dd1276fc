"""Canonical frames on disk, read as whole series over all splits, so that a step may look back across a cut.

Columns: `row`, `series`, `time`, `value.<channel>`, `known.<covariate>`; sorted by series and time.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

ROWS_FILE = "rows.parquet"
SPLITS = ("train", "valid", "test")
# Many short series share a chunk; one longer series is a chunk of its own.
CHUNK_ROWS = 200_000

VALUES = pl.col(r"^value\..*$")
KNOWN = pl.col(r"^known\..*$")
NUMBERS = pl.col(r"^(value|known)\..*$")


def bare_name(column: str) -> str:
    """The name of a channel or covariate, without what marks its column."""
    return column.partition(".")[2]


def count_missing(path: Path) -> dict[str, int]:
    """Numbers that are missing in a canonical table, by column."""
    counts = pl.scan_parquet(path).select(NUMBERS.null_count()).collect(engine="streaming")
    return {name: count for name, count in counts.row(0, named=True).items() if count}


def read_windows(path: Path, max_rows: int) -> Iterator[pl.DataFrame]:
    """Yield whole series of a canonical table, as many as have at most `max_rows` together, or a longer one alone.

    The same table always gives the same windows.
    """
    held: list[pl.DataFrame] = []
    with pq.ParquetFile(path, pre_buffer=False) as parquet:
        for batch in parquet.iter_batches(max_rows):
            held.append(pl.DataFrame(batch))
            if sum(rows.height for rows in held) <= max_rows:
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


def read_whole_series(files: Mapping[str, Path], *, chunk_rows: int = CHUNK_ROWS) -> Iterator[pl.DataFrame]:
    """Yield frames of whole series, sorted by series and time, with the column `split`: 0, 1 or 2 as in SPLITS.

    Memory depends on the longest series, not on their number: the split that lags in series is read on, and what
    lies before all splits' last series is whole. `files` may name some of the splits only.
    """
    splits = {
        number: _read_batches(files[name], number, chunk_rows // 4)
        for number, name in enumerate(SPLITS)
        if name in files
    }
    reached = dict.fromkeys(splits, "")
    held: list[pl.DataFrame] = []
    while splits:
        slowest = min(splits, key=reached.__getitem__)
        batch = next(splits[slowest], None)
        if batch is None:
            del splits[slowest]
            continue
        held.append(batch)
        reached[slowest] = batch["series"][-1]
        whole_before = min(reached[number] for number in splits)
        is_enough = sum(rows.height for rows in held) >= chunk_rows
        if is_enough and min(rows["series"][0] for rows in held) < whole_before:
            rows = pl.concat(held).sort("series", "time")
            end = rows["series"].search_sorted(whole_before, side="left")
            yield rows[:end]
            held = [rows[end:]]
    if held:
        yield pl.concat(held).sort("series", "time")


def _read_batches(path: Path, split: int, batch_rows: int) -> Iterator[pl.DataFrame]:
    with pq.ParquetFile(path, pre_buffer=False) as parquet:
        for batch in parquet.iter_batches(batch_rows):
            if batch.num_rows:
                yield pl.DataFrame(batch).with_columns(split=pl.lit(split, pl.UInt8))
