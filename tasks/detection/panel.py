"""A panel of series as a detector's forecaster reads it: levels on a common scale, and when each row was.

The scale of a series comes from its warm-up rows alone. Rows are steps, however much time lies between them: what a
forecaster must know of time, it reads from the calendar.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from tasks.series.calendar import calendar_features

CALENDAR = ("hour", "weekday")


@dataclass(frozen=True)
class LevelScale:
    """Centre and deviation of a series' ordinary rows."""

    centre: float
    deviation: float

    @classmethod
    def fit(cls, values: np.ndarray) -> "LevelScale":
        """Median and standard deviation; a series that stands still keeps its unit."""
        return cls(float(np.median(values)), float(values.std()) or 1.0)

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Deviations from the centre on a scale that is linear near it and logarithmic far from it (asinh)."""
        return np.arcsinh((values - self.centre) / self.deviation)


@dataclass(frozen=True, kw_only=True)
class Series:
    """A series' values with their times, the first `warm_up_rows` of which are taken to be ordinary."""

    name: str
    times: pl.Series
    values: np.ndarray
    warm_up_rows: int

    @property
    def num_rows(self) -> int:
        """Rows in all."""
        return len(self.values)

    @cached_property
    def scale(self) -> LevelScale:
        """The scale of the warm-up rows."""
        return LevelScale.fit(self.values[: self.warm_up_rows])

    @cached_property
    def levels(self) -> np.ndarray:
        """All rows on the scale of the warm-up rows."""
        return self.scale.transform(self.values)

    @cached_property
    def calendar(self) -> np.ndarray:
        """What the time of each row says: float32 [rows, features]."""
        return describe_times(self.times)


def describe_times(times: pl.Series) -> np.ndarray:
    """Calendar features of times: float32 [rows, features]."""
    features = calendar_features(CALENDAR, None)
    return pl.DataFrame({"time": times}).select(**features).to_numpy(order="c")


@dataclass(frozen=True)
class Stretch:
    """Rows `start` to before `stop` of a series; rows before its first are copies of the first."""

    series: Series
    start: int
    stop: int

    def as_batch(self, number: int) -> pa.RecordBatch:
        """One segment of a file of windows."""
        rows = np.maximum(np.arange(self.start, self.stop), 0)
        return pa.record_batch(
            {
                "row": pa.array(rows.astype(np.uint32)),
                "series": pa.array(np.full(len(rows), number, np.uint32)),
                "time": pa.array(np.arange(self.start, self.stop)),
                "values": _as_lists(self.series.levels[rows, None]),
                "covariates": _as_lists(self.series.calendar[rows]),
            }
        )


def write_stretches(path: Path, stretches: Iterable[Stretch]) -> None:
    """Write a file that `rnnmodels.windows` opens, a segment for each stretch."""
    batches = [stretch.as_batch(number) for number, stretch in enumerate(stretches)]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _as_lists(values: np.ndarray) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
