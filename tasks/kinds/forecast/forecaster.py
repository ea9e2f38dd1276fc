"""A fitted forecaster as it is served: the history of series in, their next values out.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
Its folder holds `model.safetensors`, `model.json`, `scaler.json` and `serving.json`, which says how series are read.
L steps of look-back, H steps of the horizon, C channels, D covariates, O outputs: the point, then the quantiles.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from tasks.kinds.forecast.histories import History, describe_new, describe_start, describe_starts, find_end, look_ahead
from tasks.kinds.forecast.history_checks import (
    find_scaler,
    refuse_gaps,
    refuse_other_rows,
    refuse_rounded,
    refuse_short,
)
from tasks.kinds.forecast.ingest import write_history
from tasks.panel.frames import ROWS_FILE
from tasks.panel.refusals import Refusal, answer_each
from tasks.panel.scaler import Scaler, Units
from tasks.panel.served_table import TIMES_AS_THEY_ARE, stored_table
from tasks.panel.source import SeriesSource
from tasks.panel.time_grid import TimeGrid
from tasks.registry.served_parts import read_serving, write_serving
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake
from tasks.sources.served_source import ServedSource

if TYPE_CHECKING:
    import pandas as pd

    from rnnmodels.forecasters.forecaster import SequenceForecaster

KIND = "forecast"
PARTS = ("model.safetensors", "model.json", "scaler.json")
SERIES_AT_ONCE = 256
POINT = "forecast"


@dataclass(frozen=True, kw_only=True)
class Serving(ServedSource[SeriesSource]):
    """How a forecaster reads series: the source's columns, its grid, the channels, the covariates users must bring.

    `cuts` are the times at which the rows were divided that it learned from, as stage `split` reports them.
    """

    name: str
    grid: dict[str, Any]
    channels: tuple[str, ...]
    covariates: tuple[str, ...]
    levels: tuple[float, ...]
    cuts: dict[str, Any]

    @classmethod
    def trained_as(cls) -> type[SeriesSource]:
        """Series to forecast."""
        return SeriesSource

    def learned(self) -> dict[str, object]:
        """The step of the series."""
        return {"frequency": TimeGrid.from_dict(self.grid).frequency}


@dataclass(frozen=True, kw_only=True)
class SeriesForecaster:
    """A model in evaluation mode with the scaler it was fitted with."""

    model: "SequenceForecaster"
    scaler: Scaler
    serving: Serving

    @classmethod
    def load(cls, folder: Path) -> "SeriesForecaster":
        """Read a folder after checking the SHA-256 of each file.

        Raises IntegrityError (E-INT-001).
        """
        from rnnmodels.forecasters.forecaster import SequenceForecaster
        from rnnmodels.training.checkpoint import load_model

        fields = read_serving(folder)
        fields |= {name: tuple(fields[name]) for name in ("channels", "covariates", "levels")}
        return cls(
            model=load_model(SequenceForecaster, folder),
            scaler=Scaler.from_dict(json.loads((folder / "scaler.json").read_bytes())),
            serving=Serving(**fields),
        )

    @property
    def grid(self) -> TimeGrid:
        """The grid of the training rows; a history continues in its steps, at its own phase."""
        return TimeGrid.from_dict(self.serving.grid)

    def answer_files(
        self,
        inputs: Inputs,
        *,
        refusals: list[Refusal] | None = None,
        intake: Intake[SeriesSource] | None = None,
        **changed: object,
    ) -> pl.DataFrame:
        """Forecast every series of files that hold their history, read and checked as the training rows were.

        Rows after a series' last value bring covariates known in advance; `changed` settings of the source are other
        than in training, and an `intake` brings its own and is told what was done. Else as `forecast_rows`.
        """
        intake = intake or Intake(self.serving.settings_for(inputs.files[0].path, **changed))
        with tempfile.TemporaryDirectory() as folder:
            write_history(Path(folder), intake, inputs, channels=self.serving.channels)
            rows = pl.read_parquet(Path(folder) / ROWS_FILE)
        return self.forecast_rows(rows, refusals, notes=intake.warnings, gaps=intake.settings.gaps)

    def forecast_frame(self, history: "pl.DataFrame | pd.DataFrame", *, notes: list[str] | None = None) -> pl.DataFrame:
        """Forecast from a table with the columns of the source, as `answer_files` does.

        What was done to its rows is appended to `notes`. Raises InputError also for a table that cannot be read
        (E-REG-012 to E-REG-014).
        """
        with stored_table(history, self.serving.settings_for(Path("table.parquet"))) as (inputs, time):
            # What is a time already needs no rule for reading it from text or counts.
            changed = {**TIMES_AS_THEY_ARE, "frequency": "auto"} if time.is_temporal() else {}
            intake = Intake(self.serving.settings_for(inputs.files[0].path, **changed))
            forecasts = self.answer_files(inputs, intake=intake)
        if notes is not None:
            notes += intake.warnings
        return forecasts

    def forecast_rows(
        self,
        rows: pl.DataFrame,
        refusals: list[Refusal] | None = None,
        *,
        notes: list[str] | None = None,
        gaps: Literal["cut", "error"] = "cut",
    ) -> pl.DataFrame:
        """Forecast from canonical rows; columns series, time, step (from 1), channel, forecast, q0.1 and so on.

        Instants are shown in the zone of the training rows' source. With a list `refusals` a series that cannot be
        forecast goes there, and the first is raised only if none is left. What was done to rows is appended to `notes`.
        Where each series has a scale of its own, that of a series not trained on is measured on all of its history.

        Raises InputError for the rows: E-FOR-003 for times of another kind, E-FOR-004 for a channel that is not there;
        for a series: E-FOR-001 for a history that is too short, E-FOR-002 for covariates that are not known, E-FOR-005
        for another step, E-SER-009 for missing numbers, E-SER-031 for too few numbers to measure a scale, E-SER-032 for
        a swing that is lost in rounding, E-TIME-016 for gaps, if they are an error.
        """
        refuse_other_rows(rows, self.grid, self.serving.channels, self.serving.settings.time_column)
        histories = self.histories(rows, refusals, gaps=gaps)
        tables, used = [], []
        while part := tuple(islice(histories, SERIES_AT_ONCE)):
            tables.append(self._tabulate(part, self._forecast(part)))
            used += [one.starting for one in part]
        if notes is not None:
            notes += describe_starts(used, self.scaler.missing)
            notes += describe_new([one.series for one in used if not self.scaler.knows(one.series)])
        return pl.concat(tables)

    def histories(
        self, rows: pl.DataFrame, refusals: list[Refusal] | None = None, *, gaps: Literal["cut", "error"] = "cut"
    ) -> Iterator[History]:
        """Cut the look-back of each series out of canonical rows, with what is known of the horizon."""
        learned = [f"value.{name}" for name in self.serving.channels]
        learned += [f"known.{name}" for name in self.serving.covariates]
        parts = rows.select("series", "time", *learned).partition_by("series", maintain_order=True)
        return answer_each(parts, lambda part: self._history(part, gaps), refusals)

    def _history(self, frame: pl.DataFrame, gaps: str) -> History:
        shape, series = self.model.shape, frame["series"][0]
        past = frame[: find_end(frame, self.serving.channels)]
        scaler = find_scaler(self.scaler, series, past)
        scaled = scaler.transform(past)
        grid = self.grid.through_end(scaled["time"].tail(shape.look_back))
        refuse_short(past, scaled["time"], grid, shape.look_back, series)
        if gaps == "error":
            refuse_gaps(series, past["time"], grid)
        scaled = scaled.tail(shape.look_back)
        refuse_rounded(series, past, scaled, scaler)
        future = scaler.transform(look_ahead(frame, scaled["time"][-1], grid, shape.horizon))
        known = [f"known.{name}" for name in self.scaler.covariates]
        covariates = pl.concat([scaled.select(known), future.select(known)]).to_numpy()
        return History(
            starting=describe_start(past, scaled["time"], grid, self.scaler.missing),
            times=future["time"],
            units=scaler.units([series], self.serving.channels),
            values=scaled.select(f"value.{name}" for name in self.serving.channels).to_numpy().astype(np.float32),
            covariates=covariates.reshape(shape.num_steps, len(known)).astype(np.float32),
        )

    def _forecast(self, histories: tuple[History, ...]) -> np.ndarray:
        """Forecasts in the units of the source, float64 [series, H, C, O]."""
        from rnnmodels.forecasters.forecasts import forecast_arrays

        values_BLC = np.stack([history.values for history in histories])
        covariates_BTD = np.stack([history.covariates for history in histories])
        outputs_BHCO = forecast_arrays(self.model, values_BLC, covariates_BTD)
        centre, scale = (
            np.concatenate([getattr(one.units, part) for one in histories]) for part in ("centre", "scale")
        )
        return Units(centre=centre, scale=scale).restore(outputs_BHCO)

    def _tabulate(self, histories: tuple[History, ...], outputs_BHCO: np.ndarray) -> pl.DataFrame:
        horizon = outputs_BHCO.shape[1]
        names = [POINT, *(f"q{level:g}" for level in self.serving.levels)]
        times = pl.concat([history.times for history in histories])
        place = {
            "series": [history.starting.series for history in histories for _ in range(horizon)],
            "time": times.dt.convert_time_zone(self.grid.zone) if self.grid.zone else times,
            "step": np.tile(np.arange(1, horizon + 1, dtype=np.int32), len(histories)),
        }
        table = pl.DataFrame(place).with_columns(channel=pl.lit(list(self.serving.channels))).explode("channel")
        numbers = outputs_BHCO.reshape(-1, len(names))
        return table.with_columns(pl.Series(name, numbers[:, index]) for index, name in enumerate(names))


def complete_forecaster(folder: Path, serving: Serving) -> None:
    """Complete a folder that holds model and scaler with `serving.json`."""
    write_serving(folder, kind=KIND, serving=asdict(serving), parts=PARTS)
