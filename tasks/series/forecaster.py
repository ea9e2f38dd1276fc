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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from tasks.errors import InputError, quoted
from tasks.series.frames import ROWS_FILE, VALUES
from tasks.series.reading import write_rows
from tasks.series.rounding import find_rounded
from tasks.series.scaler import LEAST_NUMBERS, Scaler, Units
from tasks.series.source import SeriesSource
from tasks.series.time_grid import TimeGrid
from tasks.served_parts import read_serving, write_serving
from tasks.sources.inputs import InputFile, Inputs

if TYPE_CHECKING:
    from rnnmodels.forecaster import SequenceForecaster

KIND = "forecast"
PARTS = ("model.safetensors", "model.json", "scaler.json")
SERIES_AT_ONCE = 256
POINT = "forecast"
# So many times its scale away from its centre, a history is none that anything was learned of.
FAR = 10_000


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How a forecaster reads series: the source's columns, its grid, the channels, the covariates users must bring.

    `cuts` are the times at which the rows were divided that it learned from, as stage `split` reports them.
    """

    name: str
    source: dict
    grid: dict
    channels: tuple[str, ...]
    covariates: tuple[str, ...]
    levels: tuple[float, ...]
    cuts: dict

    @property
    def settings(self) -> SeriesSource:
        """The settings of the training rows' source, the layout of a built-in data set filled in."""
        return SeriesSource.model_validate(self.source).with_preset()

    def settings_for(self, path: Path, **changed: object) -> SeriesSource:
        """The source's settings, for other files in any format."""
        own = self.settings.model_dump(exclude={"dataset", "path", "format", "where"})
        frequency = TimeGrid.from_dict(self.grid).frequency
        return SeriesSource(**own | {"path": str(path), "frequency": frequency, **changed})


class History(NamedTuple):
    """What one series' forecast starts from: its end, its units, scaled values [L, C] and covariates [L + H, D]."""

    series: str
    times: pl.Series
    units: Units
    values: np.ndarray
    covariates: np.ndarray


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
        from rnnmodels.checkpoint import load_model
        from rnnmodels.forecaster import SequenceForecaster

        serving = read_serving(folder)
        lists = {name: tuple(serving[name]) for name in ("channels", "covariates", "levels")}
        return cls(
            model=load_model(SequenceForecaster, folder),
            scaler=Scaler.from_dict(json.loads((folder / "scaler.json").read_bytes())),
            serving=Serving(**serving | lists),
        )

    @property
    def grid(self) -> TimeGrid:
        """The grid on which series go on."""
        return TimeGrid.from_dict(self.serving.grid)

    def answer_files(self, inputs: Inputs, **changed: object) -> pl.DataFrame:
        """Forecast every series of files that hold their history, read and checked as the training rows were.

        Rows after a series' last value bring covariates known in advance; `changed` settings of the source are other
        than in training. Columns as of `forecast_rows`.
        """
        with tempfile.TemporaryDirectory() as folder:
            settings = self.serving.settings_for(inputs.files[0].path, **changed)
            write_rows(Path(folder), settings=settings, inputs=inputs, digest=inputs.digest())
            return self.forecast_rows(pl.read_parquet(Path(folder) / ROWS_FILE))

    def forecast_frame(self, history: pl.DataFrame) -> pl.DataFrame:
        """Forecast from a table with the columns of the source, as `answer_files` does."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "history.parquet"
            history.write_parquet(path)
            inputs = Inputs([InputFile(path, path.name, "parquet")], [])
            time = history.schema.get(self.serving.settings.time_column)
            # What is a time already needs no rule for reading it from text or counts.
            is_time = time is not None and time.is_temporal()
            return self.answer_files(inputs, **({"time_unit": "text", "time_format": None} if is_time else {}))

    def forecast_rows(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Forecast from canonical rows; columns series, time, step (from 1), channel, forecast, q0.1 and so on.

        Where each series has a scale of its own, that of a series not trained on is measured on all of its history.
        Raises InputError: E-FOR-001 for a history that is too short, E-FOR-002 for covariates that are not known,
        E-SER-031 for one too short to measure its scale, E-SER-032 for one whose swing is lost in rounding.
        """
        histories = self.histories(rows)
        parts = iter(lambda: tuple(islice(histories, SERIES_AT_ONCE)), ())
        return pl.concat([self._tabulate(part, self._forecast(part)) for part in parts])

    def histories(self, rows: pl.DataFrame) -> Iterator[History]:
        """Cut the look-back of each series out of canonical rows, with what is known of the horizon."""
        for frame in rows.partition_by("series", maintain_order=True):
            values = frame.select(pl.any_horizontal(VALUES.is_not_null())).to_series()
            end = 0 if not values.any() else frame.height - int(values.reverse().arg_max())
            yield self._history(frame[:end], frame[end:])

    def _history(self, past: pl.DataFrame, ahead: pl.DataFrame) -> History:
        shape = self.model.shape
        scaler = self._scaler_of(past)
        scaled = scaler.transform(past)
        self._refuse_short(past, scaled)
        scaled = scaled.tail(shape.look_back)
        self._refuse_rounded(past.tail(shape.look_back), scaled, scaler)
        future = self._future(past, ahead, scaler)
        known = [f"known.{name}" for name in self.scaler.covariates]
        covariates = pl.concat([scaled.select(known), future.select(known)]) if known else None
        return History(
            series=past["series"][0],
            times=future["time"],
            units=scaler.units([past["series"][0]], self.serving.channels),
            values=scaled.select(f"value.{name}" for name in self.serving.channels).to_numpy().astype(np.float32),
            covariates=np.empty((shape.num_steps, 0), np.float32)
            if covariates is None
            else covariates.to_numpy().astype(np.float32),
        )

    def _scaler_of(self, past: pl.DataFrame) -> Scaler:
        names = past["series"].unique().to_list()
        scaler = self.scaler.covering(names, past)
        for name in names:
            if not scaler.knows(name):
                raise InputError(
                    "E-SER-031",
                    f"series {quoted(name)} is new to the model, and its history holds fewer than the {LEAST_NUMBERS} "
                    "numbers that measuring its scale takes.",
                    fix="give more of its history, or leave the series out.",
                )
        return scaler

    def _refuse_short(self, past: pl.DataFrame, scaled: pl.DataFrame) -> None:
        look_back = self.model.shape.look_back
        positions = self.grid.positions(scaled["time"]).to_numpy()
        num_steps = 1 + int(np.argmax(np.append(np.diff(positions)[::-1] != 1, True))) if positions.size else 0
        if num_steps < look_back:
            series = quoted(past["series"][0]) if past.height else "a series"
            end = f" before {past['time'][-1]}" if past.height else ""
            raise InputError(
                "E-FOR-001",
                f"series {series} has {num_steps} step(s) without a gap{end}, expected at least {look_back}.",
                fix="give more of its history, fill its gaps, or leave the series out.",
            )

    def _refuse_rounded(self, past: pl.DataFrame, scaled: pl.DataFrame, scaler: Scaler) -> None:
        distance = scaled.select(VALUES.abs().min()).max_horizontal().item()
        if scaler.method != "none" and distance > FAR and find_rounded(past, scaler, ["series"]).height:
            raise InputError(
                "E-SER-032",
                f"series {quoted(past['series'][0])} lies {distance:,.0f} times its scale away from what the model was "
                "trained on, where 32-bit floats do not hold its swing.",
                fix="bring it in the unit of the training rows, or train again with such rows.",
            )

    def _future(self, past: pl.DataFrame, ahead: pl.DataFrame, scaler: Scaler) -> pl.DataFrame:
        """The scaled covariates of the horizon, with times."""
        last = self.grid.positions(past["time"].tail(1))[0]
        steps = pl.Series(range(last + 1, last + 1 + self.model.shape.horizon), dtype=pl.Int64)
        future = pl.DataFrame({"time": self.grid.times(steps)}).with_columns(series=pl.lit(past["series"][0]))
        names = [f"known.{name}" for name in self.serving.covariates]
        future = future.join(ahead.select("time", *names), on="time", how="left", maintain_order="left")
        for name in names:
            unknown = future.filter(pl.col(name).is_null())
            if unknown.height:
                raise InputError(
                    "E-FOR-002",
                    f"is not known at {unknown['time'][0]} in series {quoted(past['series'][0])}.",
                    fix=f"add a row for each of the next {steps.len()} steps, with the values to forecast left empty.",
                    column=name.partition(".")[2],
                )
        return scaler.transform(future)

    def _forecast(self, histories: tuple[History, ...]) -> np.ndarray:
        """Forecasts in the units of the source, float64 [series, H, C, O]."""
        from rnnmodels.forecasts import forecast_arrays

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
        place = pl.DataFrame({"series": [history.series for history in histories]}).select(
            pl.col("series").repeat_by(horizon).explode()
        )
        step = np.tile(np.arange(1, horizon + 1, dtype=np.int32), len(histories))
        table = place.with_columns(time=times, step=pl.Series(step), channel=pl.lit(list(self.serving.channels)))
        numbers = outputs_BHCO.reshape(-1, len(names))
        return table.explode("channel").with_columns(
            pl.Series(name, numbers[:, index]) for index, name in enumerate(names)
        )


def complete_forecaster(folder: Path, serving: Serving) -> None:
    """Complete a folder that holds model and scaler with `serving.json`."""
    write_serving(folder, kind=KIND, serving=asdict(serving), parts=PARTS)
