"""A panel of series as a detector's forecaster reads it: levels, and what the calendar says of each row.

Rows are steps, however much time lies between them: what a forecaster must know of time, it reads from the calendar.
Shapes: N rows, C channels, D features of the calendar.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class LevelSeries:
    """A series' levels (N, C), calendar (N, D) and times, the first `warm_up_rows` of which are taken to be ordinary.

    `number` tells the series of a panel apart; `first_row` numbers its first row within the panel.
    """

    number: int
    first_row: int
    times: NDArray[np.int64]
    levels: NDArray[np.float32]
    calendar: NDArray[np.float32]
    warm_up_rows: int

    @property
    def num_rows(self) -> int:
        """Rows in all."""
        return len(self.levels)


@dataclass(frozen=True)
class Stretch:
    """Rows `start` to before `stop` of a series; rows before its first are copies of the first."""

    series: LevelSeries
    start: int
    stop: int

    def as_batch(self) -> pa.RecordBatch:
        """One segment of a file of windows."""
        series, rows = self.series, np.maximum(np.arange(self.start, self.stop), 0)
        columns = {
            "row": pa.array((series.first_row + rows).astype(np.uint32)),
            "series": pa.array(np.full(len(rows), series.number, np.uint32)),
            "time": pa.array(series.times[rows]),
            "values": _as_lists(series.levels[rows]),
        }
        if series.calendar.shape[1]:
            columns["covariates"] = _as_lists(series.calendar[rows])
        return pa.record_batch(columns)


def write_stretches(path: Path, stretches: Iterable[Stretch]) -> None:
    """Write a file that `rnnmodels.forecasters.windows` opens, a segment for each of at least one stretch."""
    batches = [stretch.as_batch() for stretch in stretches]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _as_lists(values: NDArray[np.float32]) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
