"""What a detector remembers of a series: its last rows with what was made of them, and what it has learned of it.

What follows is judged by these alone, so a series can be gone on with from a memory to the last bit.
N rows, C channels.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.kinds.detect.events import count_gap_rows
from tasks.kinds.detect.levels import LevelScale, LevelScaler
from tasks.kinds.detect.serving import Learned
from tasks.kinds.detect.settings import DetectorSettings


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The last rows seen of a series, what was learned of it, and the scales of its channels.

    `past` has the columns series, time, value.*, forecast.* (levels, Float32) and surprise, which is null in the
    warm-up. `learned.rows` counts all rows seen, of which `past` holds the last.
    """

    past: pl.DataFrame
    learned: Learned
    scales: dict[str, LevelScale]

    @property
    def first_row(self) -> int:
        """The number within the series of the first row remembered."""
        return self.learned.rows - self.past.height

    @property
    def forecasts(self) -> NDArray[np.float32]:
        """What was forecast of the rows remembered (N, C)."""
        return forecasts_of(self.past, self.scales)

    def followed_by(self, judged: pl.DataFrame, *, num_kept: int) -> "Memory":
        """The memory after more rows, in the columns of `past`, of which only the last ones are kept."""
        learned = replace(self.learned, rows=self.learned.rows + judged.height)
        return replace(self, past=pl.concat([self.past, judged]).tail(num_kept), learned=learned)

    def extend_scaler(self, scaler: LevelScaler) -> LevelScaler:
        """A scaler that knows the series."""
        return replace(scaler, series={**scaler.series, self.past["series"][0]: self.scales})


def forecasts_of(past: pl.DataFrame, channels: Iterable[str]) -> NDArray[np.float32]:
    """What was forecast of remembered rows (N, C)."""
    return past.select(f"forecast.{name}" for name in channels).to_numpy(order="c")


def count_recent(settings: DetectorSettings, warm_up_rows: int, num_steps: int) -> int:
    """How many rows to remember of a series: a long run, the mean of a short one, a window, and the gap of an event."""
    likelihood = settings.likelihood
    remembered = likelihood.long_run_rows + likelihood.short_run_rows + num_steps
    return max(remembered, count_gap_rows(settings.events.gap_share, warm_up_rows))
