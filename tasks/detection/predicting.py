"""Prediction for detectors: a file of series in, how surprising each of their rows is out."""

import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tasks.detection.served_detector import SeriesDetector
from tasks.prediction.tables_of_numbers import refuse_columns_of_texts, write_answers


@dataclass(frozen=True, kw_only=True)
class JudgedFile:
    """What became of a file of series: of its `rows` in `output`, `warm_up` are not judged; `alarms` begin an event."""

    model: str
    series: int
    rows: int
    warm_up: int
    alarms: int
    output: Path
    wall_s: float
    bad: int = 0
    errors: Path | None = None

    def describe(self) -> str:
        """Say it in a line or two."""
        judged = (
            f"{self.output}: {self.rows - self.warm_up:,} rows of {self.series:,} series judged, {self.alarms:,} "
            f"alarm{'' if self.alarms == 1 else 's'} by {self.model} ({self.wall_s:.1f} s)."
        )
        if not self.warm_up:
            return judged
        return f"{judged}\n{self.warm_up:,} more rows are the warm-up of series that do not go on from training."

    def table(self) -> dict[str, str | Path]:
        """Say it as names and values."""
        return {
            "output": self.output,
            "model": self.model,
            "series": f"{self.series:,}",
            "rows judged": f"{self.rows - self.warm_up:,}",
            "rows of the warm-up": f"{self.warm_up:,}",
            "alarms": f"{self.alarms:,}",
            "seconds": f"{self.wall_s:,.1f}",
        }


def predict_file(
    model: str,
    input_path: Path,
    output_path: Path,
    *,
    text_column: str = "text",
    label_column: str | None = None,
    overwrite: bool = False,
) -> JudgedFile:
    """Judge the rows of each series of a file with a registered model; see `parse_reference` for what names one.

    The input is a table with the columns that the model was trained on, the label aside. The output is CSV, JSON Lines
    or Parquet by its suffix, with the columns `series`, `time`, `value`, `expected`, `surprise`, `is_anomaly`, `alarm`,
    `event` and `model`; with several channels `value` and `expected` are one column for each.

    Raises InputError for the files (E-OUT-001 to E-OUT-004, and what the reading of training rows raises), for a
    series without rows behind its warm-up (E-DET-020), times of another kind (E-DET-021) or a missing channel
    (E-DET-022), and for the model (E-NAME-001, E-REG-001, E-REG-002); IntegrityError for a damaged model (E-INT-001,
    E-REG-003).
    """
    started_s = time.perf_counter()
    refuse_columns_of_texts(text_column, label_column)
    answers = write_answers(model, input_path, output_path, load=SeriesDetector.load, overwrite=overwrite)
    found = answers.select(
        series=pl.col("series").n_unique(), warm_up=pl.col("surprise").null_count(), alarms=pl.col("alarm").sum()
    )
    return JudgedFile(
        model=answers["model"][0],
        rows=answers.height,
        **found.row(0, named=True),
        output=output_path,
        wall_s=round(time.perf_counter() - started_s, 3),
    )
