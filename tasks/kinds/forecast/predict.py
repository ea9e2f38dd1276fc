"""Prediction for series: a file of histories in, a table of forecasts out.

Rows after a series' last value hold the covariates known in advance. Besides E-OUT and E-REG, a series is refused if
its history is too short (E-FOR-001), lacks a covariate (E-FOR-002) or has other steps than in training (E-FOR-005), as
is a file with times of another type (E-FOR-003) or without a channel (E-FOR-004).
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import polars as pl

from tasks.kinds.forecast.forecaster import SeriesForecaster
from tasks.prediction.tables_of_numbers import AnsweredTable, predict_table


@dataclass(frozen=True, kw_only=True)
class ForecastFile(AnsweredTable):
    """What became of a file of histories: forecasts of `series` series."""

    items: ClassVar[str] = "series"

    series: int

    @classmethod
    def count(cls, answers: pl.DataFrame) -> dict[str, int]:
        """Count the series."""
        return {"series": answers["series"].n_unique()}

    def describe_answers(self) -> str:
        """Say it in a line."""
        return f"{self.output}: {self.rows:,} forecasts for {self.series:,} series by {self.model} {self.pace}."

    def counts(self) -> dict[str, int]:
        """Series, and their forecasts."""
        return {"series": self.series, "forecasts": self.rows}


predict_file = partial(predict_table, load=SeriesForecaster.load, told=ForecastFile)
