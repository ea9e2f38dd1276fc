"""Prediction for series: a file of histories in, a table of forecasts out."""

import time
from dataclasses import dataclass
from pathlib import Path

from tasks.prediction.tables_of_numbers import refuse_columns_of_texts, write_answers
from tasks.series.forecaster import SeriesForecaster


@dataclass(frozen=True, kw_only=True)
class ForecastFile:
    """What became of a file of histories: `rows` forecasts of `series` series in `output`."""

    model: str
    series: int
    rows: int
    output: Path
    wall_s: float
    bad: int = 0
    errors: Path | None = None

    def describe(self) -> str:
        """Say it in a line."""
        return (
            f"{self.output}: {self.rows:,} forecasts for {self.series:,} series by {self.model} ({self.wall_s:.1f} s)."
        )

    def table(self) -> dict[str, str | Path]:
        """Say it as names and values."""
        return {
            "output": self.output,
            "model": self.model,
            "series": f"{self.series:,}",
            "forecasts": f"{self.rows:,}",
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
) -> ForecastFile:
    """Forecast what follows each series of a file with a registered model; see `parse_reference` for what names one.

    The input is a table with the columns that the model was trained on; rows after a series' last value bring the
    covariates known in advance. The output is CSV, JSON Lines or Parquet by its suffix, with the columns `series`,
    `time`, `step`, `channel`, `forecast`, a column per quantile, and `model`.

    Raises InputError for the files (E-OUT-001 to E-OUT-004, and what the reading of training rows raises), for a
    history that is too short (E-FOR-001) or lacks a covariate (E-FOR-002), and for the model (E-NAME-001, E-REG-001,
    E-REG-002); IntegrityError for a damaged model (E-INT-001, E-REG-003).
    """
    started_s = time.perf_counter()
    refuse_columns_of_texts(text_column, label_column)
    forecasts = write_answers(model, input_path, output_path, load=SeriesForecaster.load, overwrite=overwrite)
    return ForecastFile(
        model=forecasts["model"][0],
        series=forecasts["series"].n_unique(),
        rows=forecasts.height,
        output=output_path,
        wall_s=round(time.perf_counter() - started_s, 3),
    )
