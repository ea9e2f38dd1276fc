"""Sequences as one row each: `row`, `series` (its id), `length`; `time` and `value.<channel>` list their steps."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from tasks.panel.frames import VALUES
from tasks.panel.policies import Sheet

SPLITS = ("train", "valid", "test")
# Steps that are in memory at once while sequences are taken apart.
CHUNK_STEPS = 200_000


def gather_sequences(steps: Path, sheet: Sheet) -> pl.LazyFrame:
    """Gather canonical steps, sorted by series and time, into sequences in the order in which the source names them."""
    first_rows = pl.scan_parquet(sheet.path).group_by("series").agg(first_row=pl.col("row").min())
    lists = pl.scan_parquet(steps).group_by("series", maintain_order=True).agg("time", VALUES, length=pl.len())
    ordered = lists.join(first_rows, on="series").sort("first_row")
    return ordered.with_row_index("row").select("row", "series", "length", "time", VALUES)


def scatter_steps(sequences: pl.DataFrame) -> pl.DataFrame:
    """Take sequences apart: a row per step, with `row`, `series`, `time` and `value.<channel>`."""
    lists = sequences.select("row", "series", "time", VALUES)
    return lists.explode(lists.columns[2:])


def read_in_chunks(path: Path, chunk_steps: int = CHUNK_STEPS) -> Iterator[pl.DataFrame]:
    """Yield whole sequences of a file, about `chunk_steps` steps at a time."""
    lengths = pl.read_parquet(path, columns=["length"])["length"].cast(pl.Int64)
    sizes = (lengths.cum_sum() // chunk_steps).rle().struct.field("len")
    start = 0
    for size in sizes:
        yield pl.scan_parquet(path).slice(start, size).collect()
        start += size
