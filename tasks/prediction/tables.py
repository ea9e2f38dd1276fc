"""Answers as files: one per window, then all of them joined in the format that the output's suffix names."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl

from rnnmodels.durable import sync

Joiner = Callable[[Iterable[Path], Path], None]


def write_table(table: pl.DataFrame, path: Path, *, is_first: bool) -> None:
    """Write a window's answers durably, in the format of the file's suffix; of CSV files only the first has a header.

    Files of text show times in ISO 8601, with their offset if they have one.
    """
    if path.suffix == ".csv":
        with_iso_times(table).write_csv(path, include_header=is_first)
    elif path.suffix == ".jsonl":
        with_iso_times(table).write_ndjson(path)
    else:
        _write_parquet(table, path)
    sync(path)


def write_faults(faults: list[dict], path: Path) -> None:
    """Write a window's refused rows durably as JSON Lines."""
    lines = (f"{json.dumps(fault, ensure_ascii=False)}\n" for fault in faults)
    path.write_text("".join(lines), encoding="utf-8")
    sync(path)


def join_files(parts: Iterable[Path], path: Path) -> None:
    """Join the files of all windows durably into one, in a memory that does not grow with them."""
    JOINERS[path.suffix](parts, path)
    sync(path)


def with_iso_times(table: pl.DataFrame) -> pl.DataFrame:
    """Times as text in ISO 8601, with their offset if they have one."""
    # Polars writes offsets in one way to CSV and in another to JSON.
    times = {name: dtype for name, dtype in table.schema.items() if isinstance(dtype, pl.Datetime)}
    return table.with_columns(
        pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.f" + ("%:z" if dtype.time_zone else ""))
        for name, dtype in times.items()
    )


def _write_parquet(table: pl.DataFrame, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table.to_arrow(), path)


def _join_lines(parts: Iterable[Path], path: Path) -> None:
    with path.open("wb") as joined:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, joined)


def _join_parquet(parts: Iterable[Path], path: Path) -> None:
    import pyarrow.parquet as pq

    first, *others = parts
    table = pq.read_table(first)
    with pq.ParquetWriter(path, table.schema) as joined:
        joined.write_table(table)
        for part in others:
            joined.write_table(pq.read_table(part))


JOINERS: dict[str, Joiner] = {".csv": _join_lines, ".jsonl": _join_lines, ".parquet": _join_parquet}
OUTPUT_SUFFIXES = tuple(JOINERS)
