"""Forecasts without a network, on the windows that the candidates see: seasonal naive, drift and a ridge line.

They forecast points, no quantiles. B windows of a batch, L steps of look-back, H steps of the horizon, C channels.
"""

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, NonNegativeFloat

from rnnmodels.config import Settings
from rnnmodels.forecasters.forecast_config import RIDGE_PENALTIES
from tasks.contract.summaries import ModelSummary
from tasks.kinds.forecast.losses import choose_season, name_naive, repeat_season
from tasks.kinds.forecast.stored_windows import SCORED_SPLITS, TRAIN, open_split, read_layout
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from rnnmodels.forecasters.windows import WindowBatch, Windows

INPUTS = ("shards",)
VALUES_AT_ONCE = 1 << 20

Forecast = Callable[["WindowBatch"], np.ndarray]


class ForecastBaselineSettings(Settings):
    """Seasonal naive and drift have nothing to set; the ridge line has its penalty."""

    ridge_penalties: tuple[NonNegativeFloat, ...] = Field(
        RIDGE_PENALTIES,
        min_length=1,
        max_length=50,
        description="Ridge penalties to try, per training row; the lowest validation error decides.",
    )


def extend_line(history_BLC: np.ndarray, *, horizon: int) -> np.ndarray:
    """Forecast along the line through the first and the last value of the look-back (drift)."""
    last_B1C, num_steps = history_BLC[:, -1:], history_BLC.shape[1] - 1
    slope_B1C = (last_B1C - history_BLC[:, :1]) / max(1, num_steps)
    return last_B1C + slope_B1C * np.arange(1, horizon + 1, dtype=np.float32)[:, None]


def write_seasonal_naive(folder: Path, *, shards: Artefact, settings: ForecastBaselineSettings) -> ModelSummary:  # noqa: ARG001 (has none)
    """Fill the artefact's folder with forecasts that repeat the last season.

    A look-back that is shorter than a season leaves its last value to repeat; the name then says so.
    """
    layout, started = read_layout(shards), time.perf_counter()
    season = choose_season(layout)
    name = name_naive(season)
    forecast = partial(repeat_season, horizon=layout["horizon"], season=season)
    rows = write_forecasts(folder, shards, name, lambda batch: forecast(batch.history))
    return ModelSummary(rows=rows, name=name, season=season, train_s=_seconds_since(started))


def write_drift(folder: Path, *, shards: Artefact, settings: ForecastBaselineSettings) -> ModelSummary:  # noqa: ARG001 (has none)
    """Fill the artefact's folder with forecasts along the line through the look-back's ends."""
    started, forecast = time.perf_counter(), partial(extend_line, horizon=read_layout(shards)["horizon"])
    rows = write_forecasts(folder, shards, "drift", lambda batch: forecast(batch.history))
    return ModelSummary(rows=rows, name="drift", train_s=_seconds_since(started))


def write_ridge(folder: Path, *, shards: Artefact, settings: ForecastBaselineSettings) -> ModelSummary:
    """Fill the artefact's folder with the forecasts of a ridge regression on the training windows."""
    from rnnmodels.forecasters.ridge import fit_ridge

    started = time.perf_counter()
    ridge = fit_ridge(open_split(shards, TRAIN), open_split(shards, "valid"), settings.ridge_penalties)
    rows = write_forecasts(folder, shards, "ridge", lambda batch: ridge.forecast(batch.history))
    return ModelSummary(
        rows=rows,
        name="ridge",
        penalty=ridge.penalty,
        valid_mse=ridge.valid_mse,
        train_s=_seconds_since(started),
    )


def write_forecasts(folder: Path, shards: Artefact, name: str, forecast: Forecast) -> int:
    """Write `valid.npy`, `test.npy`, `forecast.json` and an empty history; returns the number of windows."""
    splits = {split: open_split(shards, split) for split in SCORED_SPLITS}
    for split, windows in splits.items():
        _write_split(folder / f"{split}.npy", windows, forecast)
    (folder / "forecast.json").write_text(json.dumps({"quantiles": []}), encoding="utf-8")
    (folder / "history.json").write_text(json.dumps([]), encoding="utf-8")
    num_windows = sum(windows.num_rows for windows in splits.values())
    emit(Progress("baseline", name, num_windows, num_windows, "windows", finished=True))
    return num_windows


def _write_split(path: Path, windows: "Windows", forecast: Forecast) -> None:
    shape = windows.shape
    outputs = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=(windows.num_rows, shape.horizon, shape.num_channels, 1)
    )
    for batch in windows.batches(max(1, VALUES_AT_ONCE // (shape.num_steps * shape.num_channels))):
        outputs[batch.row, ..., 0] = forecast(batch)
    outputs.flush()


def _seconds_since(started: float) -> float:
    return round(time.perf_counter() - started, 3)


BASELINES = {"seasonal-naive": write_seasonal_naive, "drift": write_drift, "ridge": write_ridge}
