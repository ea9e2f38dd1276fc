"""Prediction for detectors: a file of series in, the anomaly score of each of their rows out.

Besides E-OUT and E-REG, a series without rows after its warm-up is refused (E-DET-020), as are times of another type
(E-DET-021), a missing channel (E-DET-022), and rows that contradict those seen in training (E-DET-023, E-DET-024).
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import polars as pl

from tasks.errors import plural
from tasks.kinds.detect.series_judge import FORGOTTEN, SEEN, WARM_UP
from tasks.kinds.detect.served_detector import SeriesDetector
from tasks.prediction.tables_of_numbers import AnsweredTable, predict_table


@dataclass(frozen=True, kw_only=True)
class JudgedFile(AnsweredTable):
    """What became of a file of series.

    Of its `rows`, `warm_up` are not judged, nor are `forgotten` ones, which precede those remembered; `alarms` begin
    an event. Of the rows judged, `seen` were seen in training, with `seen_alarms`.
    """

    items: ClassVar[str] = "series"

    series: int
    warm_up: int
    forgotten: int
    seen: int
    alarms: int
    seen_alarms: int

    @classmethod
    def count(cls, answers: pl.DataFrame) -> dict[str, int]:
        """Count series, rows that were not judged, rows seen before, and alarms."""
        is_seen = pl.col("status") == SEEN
        counts = answers.select(
            series=pl.col("series").n_unique(),
            warm_up=(pl.col("status") == WARM_UP).sum(),
            forgotten=(pl.col("status") == FORGOTTEN).sum(),
            seen=is_seen.sum(),
            alarms=pl.col("alarm").sum(),
            seen_alarms=(is_seen & pl.col("alarm")).sum(),
        )
        return counts.row(0, named=True)

    @property
    def judged(self) -> int:
        """Rows with an anomaly score."""
        return self.rows - self.warm_up - self.forgotten

    def describe_answers(self) -> str:
        """Say it in a few lines."""
        judged = (
            f"{self.output}: {self.judged:,} rows of {self.series:,} series judged, "
            f"{plural(self.alarms, 'alarm')} by {self.model} {self.pace}."
        )
        alarms = f", with {self.seen_alarms:,} of the alarms," if self.seen_alarms else ""
        more = {
            f"{self.seen:,} of these rows{alarms} were seen in training, and are answered as they were judged then "
            f"(status `{SEEN}`).": self.seen,
            f"{self.warm_up:,} more rows are the warm-up of their series, which is not judged.": self.warm_up,
        }
        return "\n".join([judged, *(line for line, count in more.items() if count)])

    def counts(self) -> dict[str, int]:
        """Series, their rows, and the alarms."""
        return {
            "series": self.series,
            "rows judged": self.judged,
            "rows seen in training": self.seen,
            "rows of the warm-up": self.warm_up,
            "rows no longer remembered": self.forgotten,
            "alarms": self.alarms,
        }


predict_file = partial(predict_table, load=SeriesDetector.load, told=JudgedFile)
