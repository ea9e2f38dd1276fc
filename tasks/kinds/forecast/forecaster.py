"""A fitted forecaster as it is served: the history of series in, their next values out.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
Its folder holds `model.safetensors`, `model.json`, `scaler.json` and `serving.json`, which says how series are read.
L steps of look-back, H steps of the horizon, C channels, D covariates, O outputs: the point, then the quantiles.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from tasks.contract.notes import Notes
from tasks.contract.profile import Profile
from tasks.contract.table_model import Refusal
from tasks.kinds.forecast.histories import (
    History,
    describe_start,
    describe_starts,
    find_end,
    find_scaler,
    look_ahead,
    note_start,
    refuse_gaps,
    refuse_other_rows,
    refuse_rounded,
    refuse_short,
)
from tasks.kinds.forecast.ingest import write_history
from tasks.kinds.forecast.seen_windows import count_windows, forecast_from, tabulate_windows
from tasks.kinds.forecast.serving import Serving
from tasks.panel.frames import ROWS_FILE, VALUES, read_windows
from tasks.panel.profile import profile_windows, window_steps
from tasks.panel.refusals import answer_each
from tasks.panel.scaler import Scaler, Units
from tasks.panel.served_table import PanelModel
from tasks.panel.source import SeriesSource
from tasks.panel.time_grid import TimeGrid
from tasks.registry.served_parts import read_serving
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake

if TYPE_CHECKING:
    from rnnmodels.forecasters.forecaster import SequenceForecaster

SERIES_AT_ONCE = 256
POINT = "forecast"


@dataclass(frozen=True, kw_only=True)
class SeriesForecaster(PanelModel[SeriesSource]):
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

        serving = Serving.from_dict(read_serving(folder))
        return cls(
            model=load_model(SequenceForecaster, folder),
            scaler=Scaler.from_dict(json.loads((folder / "scaler.json").read_bytes())),
            serving=serving,
        )

    @property
    def grid(self) -> TimeGrid:
        """The grid of the training rows; a history continues in its steps, at its own phase."""
        return self.serving.grid

    def store_rows(
        self,
        folder: Path,
        inputs: Inputs,
        intake: Intake[SeriesSource],
        refusals: list[Refusal] | None,  # noqa: ARG002 (a series is refused when it is forecast)
    ) -> Path:
        """Read files that hold the history of series, and after it covariates known in advance."""
        write_history(folder, intake, inputs, channels=self.serving.channels)
        return folder / ROWS_FILE

    def read_windows(self, path: Path, max_rows: int) -> Iterator[pl.DataFrame]:
        """Yield stored rows as whole series."""
        return read_windows(path, max_rows)

    def answer_window(
        self,
        rows: pl.DataFrame,
        settings: SeriesSource,
        *,
        refusals: list[Refusal] | None,
        notes: Notes,
        profiles: list[Profile] | None = None,
    ) -> pl.DataFrame:
        """Forecast every series of stored rows, as `forecast_rows` does."""
        return self.forecast_rows(rows, refusals, notes=notes, gaps=settings.gaps, profiles=profiles)

    def describe(self, notes: Notes) -> list[str]:
        """Say what was done to the rows from which forecasts start, and which series are new."""
        return describe_starts(notes, self.scaler.missing)

    def time_rules(self, time: pl.DataType) -> Mapping[str, object]:
        """What is a time already needs no rule for reading it from text or counts."""
        return {**super().time_rules(time), "frequency": "auto"} if time.is_temporal() else {}

    def forecast_rows(
        self,
        rows: pl.DataFrame,
        refusals: list[Refusal] | None = None,
        *,
        notes: Notes | None = None,
        gaps: Literal["cut", "error", "span"] | None = None,
        profiles: list[Profile] | None = None,
    ) -> pl.DataFrame:
        """Forecast from canonical rows; columns series, time, step (from 1), channel, forecast, q0.1 and so on.

        Instants are shown in the zone of the training rows' source. With a list `refusals` a series that cannot be
        forecast goes there, and the first is raised only if none is left. What was done to rows is added to `notes`.
        Where each series has a scale of its own, that of a series not trained on is measured on all of its history.
        What the histories look like is appended to `profiles`.

        Raises InputError for the rows: E-FOR-003 for times of another kind, E-FOR-004 for a channel that is not there;
        for a series: E-FOR-001 for a history that is too short, E-FOR-002 for covariates that are not known, E-FOR-005
        for another step, E-SER-009 for missing numbers, E-SER-031 for too few numbers to measure a scale, E-SER-032 for
        a swing that is lost in rounding, E-TIME-016 for gaps, if they are an error.
        """
        refuse_other_rows(rows, self.grid, self.serving.channels, self.serving.settings.first_time_column)
        num_windows = 1 if profiles is None else count_windows(rows)
        histories = self.histories(rows, refusals, gaps=gaps, num_windows=num_windows)
        tables, windows, noted = [], [], Notes() if notes is None else notes
        while part := tuple(islice(histories, SERIES_AT_ONCE)):
            outputs = self.forecast(part)
            tables.append(self._tabulate(part, self._restore(part, outputs)))
            for one in part:
                note_start(noted, one.starting, is_new=not self.scaler.knows(one.starting.series))
            if profiles is not None:
                windows.append(tabulate_windows(self.model, part, outputs, self.serving.channels))
        if profiles is not None:
            profiles.append(profile_windows(pl.concat(windows), are_dated=not self.serving.settings.counts_rows))
        return pl.concat(tables)

    def histories(
        self,
        rows: pl.DataFrame,
        refusals: list[Refusal] | None = None,
        *,
        gaps: Literal["cut", "error", "span"] | None = None,
        num_windows: int = 1,
    ) -> Iterator[History]:
        """Cut the look-back of each series out of canonical rows, with what is known of the horizon.

        Before it come the steps of as many more windows of the monitor, if no gap interrupts them. What is done about
        gaps is what was done in training, unless it is given.
        """
        learned = [f"value.{name}" for name in self.serving.channels]
        learned += [f"known.{name}" for name in self.serving.covariates]
        parts = rows.select("series", "time", *learned).partition_by("series", maintain_order=True)
        policy = gaps or self.serving.settings.gaps
        return answer_each(parts, lambda part: self._history(part, policy, num_windows), refusals)

    def _history(self, frame: pl.DataFrame, gaps: str, num_windows: int) -> History:
        shape, series = self.model.shape, frame["series"][0]
        past = frame[: find_end(frame, self.serving.channels)]
        scaler = find_scaler(self.scaler, series, past)
        scaled = scaler.transform(past.with_columns(missing=pl.mean_horizontal(VALUES.is_null())))
        grid = replace(self.grid, spans=gaps == "span").through_end(scaled["time"].tail(shape.look_back))
        refuse_short(past, scaled["time"], grid, shape.look_back, series)
        if gaps == "error":
            refuse_gaps(series, past["time"], grid)
        step = window_steps(shape.look_back, shape.horizon)
        num_before = grid.count_steps(scaled["time"].tail(shape.look_back + (num_windows - 1) * step)) - shape.look_back
        kept, scaled = scaled.tail(shape.look_back + num_before // step * step), scaled.tail(shape.look_back)
        refuse_rounded(series, past, scaled, scaler)
        future = scaler.transform(look_ahead(frame, scaled["time"][-1], grid, shape.horizon))
        known = [f"known.{name}" for name in self.scaler.covariates]
        covariates = pl.concat([kept.select(known), future.select(known)]).to_numpy()
        return History(
            starting=describe_start(past, scaled["time"], grid, self.scaler.missing),
            times=future["time"],
            units=scaler.units([series], self.serving.channels),
            values=kept.select(f"value.{name}" for name in self.serving.channels).to_numpy().astype(np.float32),
            covariates=covariates.reshape(kept.height + shape.horizon, len(known)).astype(np.float32),
            stamps=kept["time"].cast(pl.Int64).to_numpy(),
            missing=kept["missing"].to_numpy(),
        )

    def forecast(self, histories: tuple[History, ...]) -> np.ndarray:
        """Scaled forecasts of what follows, float32 [series, H, C, O]."""
        ends = [(history, len(history.values)) for history in histories]
        return forecast_from(self.model, ends)

    def _restore(self, histories: tuple[History, ...], outputs_BHCO: np.ndarray) -> np.ndarray:
        """Forecasts in the units of the source, float64."""
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
