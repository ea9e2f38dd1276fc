"""Series whose value tells its time, and a forecaster that continues them exactly: the value n belongs to step n."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
import torch

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.forecasters.forecaster import SequenceForecaster
from rnnmodels.forecasters.windows import WindowShape
from tasks.kinds.forecast.forecaster import SeriesForecaster
from tasks.kinds.forecast.serving import Serving
from tasks.panel.scaler import ColumnScale, Scaler
from tasks.panel.source import SeriesSource
from tasks.panel.time_grid import TimeGrid

LOOK_BACK, HORIZON = 4, 3
CHANNELS = ("a", "b")
# What a channel holds at step n beside n.
LEVELS = {"a": 0, "b": 1000, "other": 5000}
# Clocks in Berlin go forward within a few hours of the first step.
FIRST_STEP, FIRST_TIME = 92, datetime(2024, 3, 27)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Which times follow one another: `frequency`, on clocks that show a zone, none, or plain steps."""

    frequency: str
    clock: str = "naive"
    zone: str | None = None

    @property
    def grid(self) -> TimeGrid:
        """The grid of training."""
        return TimeGrid(self.frequency, self.clock, self.zone, self.times([0]).cast(pl.Int64)[0])

    def times(self, numbers: Sequence[int], *, phase: timedelta | int = 0) -> pl.Series:
        """When the steps of these numbers are, for a series whose step 0 is `phase` later than that of training."""
        if self.clock == "step":
            return pl.Series(numbers, dtype=pl.Int64) * int(self.frequency) + phase
        start = FIRST_TIME + (phase or timedelta())
        unit = self.frequency.lstrip("0123456789")
        offsets = pl.select(pl.format("{}" + unit, pl.Series(numbers) * int(self.frequency.removesuffix(unit))))
        times = pl.select(pl.lit(start).first().dt.offset_by(offsets.to_series())).to_series().cast(pl.Datetime("us"))
        if self.zone is None:
            return times
        counted_in = self.zone if unit in ("d", "w", "mo") else "UTC"
        return times.dt.replace_time_zone(counted_in).dt.convert_time_zone("UTC")


def exact_forecaster(
    steps: Steps, *, missing: str, covariates: tuple[str, ...] = (), **source: object
) -> SeriesForecaster:
    """A forecaster without a network whose line goes on from the last two values."""
    stated = {
        "value_columns": ("value",) if "channel_column" in source else CHANNELS,
        "time_unit": "step" if steps.clock == "step" else "text",
    }
    stated |= {"covariate_columns": covariates, "time_zone": steps.zone, **source}
    settings = SeriesSource(path="history.csv", **stated)
    shape = WindowShape(LOOK_BACK, HORIZON, len(CHANNELS), len(covariates))
    model = SequenceForecaster(ForecastArchitecture(hidden_size=1, segment_length=1, decoder="direct"), shape)
    model.recurrent_weight.zero_()
    model.line_LH[-2] = -torch.arange(1.0, HORIZON + 1)
    names = [*(f"value.{name}" for name in CHANNELS), *(f"known.{name}" for name in covariates)]
    as_it_is = ColumnScale(centre=0.0, scale=1.0, mean=-7.0, is_constant=False)
    return SeriesForecaster(
        model=model,
        scaler=Scaler(
            method="none", missing=missing, calendar=(), zone=steps.zone, columns=dict.fromkeys(names, as_it_is)
        ),
        serving=Serving(
            name="exact",
            source=settings.model_dump(),
            grid=steps.grid,
            channels=CHANNELS,
            covariates=covariates,
            levels=(),
            cuts={},
        ),
    )


def ramp(steps: Steps, numbers: Sequence[int], *, phase: timedelta | int = 0) -> pl.DataFrame:
    """A history with the steps of these numbers: n, time, a, b."""
    table = pl.DataFrame({"n": pl.Series(numbers, dtype=pl.Int64), "time": steps.times(numbers, phase=phase)})
    return table.with_columns((pl.col("n") + LEVELS[name]).cast(pl.Float64).alias(name) for name in CHANNELS)
