"""Prediction for detectors: a file of series in, how surprising each of their rows is out.

Beside E-OUT and E-REG a series without rows behind its warm-up is refused (E-DET-020), as are times of another kind
(E-DET-021) and a missing channel (E-DET-022).
"""

from dataclasses import dataclass
from functools import partial

import polars as pl

from tasks.detection.served_detector import SeriesDetector
from tasks.prediction.tables_of_numbers import AnsweredTable, predict_table


@dataclass(frozen=True, kw_only=True)
class JudgedFile(AnsweredTable):
    """What became of a file of series: of its `rows`, `warm_up` are not judged; `alarms` begin an event."""

    series: int
    warm_up: int
    alarms: int

    @classmethod
    def count(cls, answers: pl.DataFrame) -> dict[str, int]:
        """Count series, rows that were not judged, and alarms."""
        counts = answers.select(
            series=pl.col("series").n_unique(), warm_up=pl.col("surprise").null_count(), alarms=pl.col("alarm").sum()
        )
        return counts.row(0, named=True)

    def describe(self) -> str:
        """Say it in a line or two."""
        judged = (
            f"{self.output}: {self.rows - self.warm_up:,} rows of {self.series:,} series judged, {self.alarms:,} "
            f"alarm{'' if self.alarms == 1 else 's'} by {self.model} ({self.wall_s:.1f} s)."
        )
        if not self.warm_up:
            return judged
        return f"{judged}\n{self.warm_up:,} more rows are the warm-up of series that do not go on from training."

    def counts(self) -> dict[str, int]:
        """Series, their rows, and the alarms."""
        return {
            "series": self.series,
            "rows judged": self.rows - self.warm_up,
            "rows of the warm-up": self.warm_up,
            "alarms": self.alarms,
        }


predict_file = partial(predict_table, load=SeriesDetector.load, told=JudgedFile)
