"""Rows of series as stage `ingest` leaves them, and what is said of a table that cannot be read."""

from pathlib import Path

import polars as pl
import pytest

from tasks.errors import InputError
from tasks.kinds.forecast.ingest import write_rows
from tasks.panel.source import SeriesSource
from tasks.sources.inputs import find_inputs


def read(path: Path, text: str = "", **stated: object) -> pl.DataFrame:
    if text:
        path.write_text(text)
    source = SeriesSource(**{"path": str(path)} | stated)
    inputs = find_inputs(source)
    write_rows(path.parent, settings=source, inputs=inputs, digest=inputs.digest())
    return pl.read_parquet(path.parent / "rows.parquet")


def error_of(path: Path, text: str = "", **stated: object) -> InputError:
    with pytest.raises(InputError) as caught:
        read(path, text, **stated)
    return caught.value
