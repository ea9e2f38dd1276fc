"""The 58 labelled series of the Numenta Anomaly Benchmark, from its archive or the folder that it unpacks to."""

import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from tasks.detection.panel import Series
from tasks.series.nab import LabelledScores, locate_windows

LABELS = "labels/combined_windows.json"
SECONDS = slice(19)  # labels write fractions of seconds, data do not


@dataclass(frozen=True)
class LabelledSeries:
    """A series, and the first and last row of each window with an anomaly."""

    series: Series
    windows: tuple[tuple[int, int], ...]


def read_corpus(source: Path) -> list[LabelledSeries]:
    """Read every series with its windows; the benchmark's probationary rows are the warm-up."""
    if source.is_dir():
        return _read(lambda name: (source / name).read_bytes())
    with tarfile.open(source) as archive:
        return _read(lambda name: archive.extractfile(f"NAB/{name}").read())


def _read(open_file: Callable[[str], bytes]) -> list[LabelledSeries]:
    limits = json.loads(open_file(LABELS))
    return [_label(name, pl.read_csv(open_file(f"data/{name}")), pairs) for name, pairs in limits.items()]


def _label(name: str, table: pl.DataFrame, limits: list[list[str]]) -> LabelledSeries:
    times = table["timestamp"].to_list()
    windows = locate_windows(times, [(first[SECONDS], last[SECONDS]) for first, last in limits])
    series = Series(
        name=name,
        times=table["timestamp"].str.to_datetime(),
        values=table["value"].cast(pl.Float64).to_numpy(),
        warm_up_rows=count_warm_up(table.height),
    )
    return LabelledSeries(series, windows)


def count_warm_up(num_rows: int) -> int:
    """Rows at the start that the benchmark does not score."""
    scored = LabelledScores(name="", scores=np.empty(num_rows), windows=()).is_scored
    return int(scored.argmax())
