"""Detectors without a network, which leave what the candidates do: the level alone, a moving average, a Gaussian.

The level alone is the candidates' own detector without the evidence of their forecasts, so that the difference is
what the network is worth. N rows, C channels.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import Field

from rnnmodels.config import Settings
from tasks.kinds.detect.detector import Opinion, judge_rows, write_opinions
from tasks.kinds.detect.encode import LEVELS_FILE, SCALES_FILE
from tasks.kinds.detect.levels import LevelScaler
from tasks.kinds.detect.likelihood import Evidence, choose_evidence
from tasks.kinds.detect.settings import DetectorSettings
from tasks.kinds.detect.summaries import DetectorSummary
from tasks.kinds.forecast.stored_windows import read_layout
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

INPUTS = ("shards", "encoded")

WINDOW_ROWS, STEP_ROWS = 6400, 100
LEAST_DEVIATION = 1e-6


class DetectionBaselineSettings(Settings):
    """How far back the moving average looks, and how rows are judged."""

    window_rows: int = Field(144, ge=1, le=10_000, description="Number of rows in the moving average.")
    detector: DetectorSettings = Field(DetectorSettings(), description="How rows are judged, as for candidates.")


@dataclass(frozen=True, kw_only=True)
class WatchedSeries:
    """The rows of one series with their levels [N, C], and how many rows ahead they are forecast."""

    rows: pl.DataFrame
    levels: NDArray[np.float32]
    scaler: LevelScaler
    horizon: int


def watch_level(series: WatchedSeries, settings: DetectionBaselineSettings) -> Opinion:
    """Forecast the centre, and judge rows by their level and its short-run mean."""
    evidence = [one for one in choose_evidence(settings.detector.likelihood) if one.residual == "level"]
    centre = np.zeros_like(series.levels)
    return Opinion(centre, judge_rows(series.levels, centre, settings.detector, evidence), len(evidence))


def watch_moving_average(series: WatchedSeries, settings: DetectionBaselineSettings) -> Opinion:
    """Forecast the mean of some rows that end `horizon` rows before, and judge rows by the error alone."""
    average = partial(average_before, window_rows=settings.window_rows, lead=series.horizon)
    forecasts = np.column_stack([average(level) for level in series.levels.T]).astype(np.float32)
    return Opinion(forecasts, judge_rows(series.levels, forecasts, settings.detector, [Evidence("error")]), 1)


def watch_windowed_gaussian(series: WatchedSeries, settings: DetectionBaselineSettings) -> Opinion:  # noqa: ARG001 (as published)
    """Judge rows by the tail of a normal distribution of the numbers before them, as Numenta's benchmark does.

    The forecast is the mean of that distribution as it was `horizon` rows before.
    """
    from scipy import special

    distances, means = zip(*(measure_distance(value) for value in series.scaler.values_of(series.rows).T), strict=True)
    surprise = -(np.log(2) + special.log_ndtr(-np.max(distances, axis=0))) / np.log(10)
    known = np.maximum(np.arange(len(surprise)) - series.horizon + 1, 0)
    forecasts = series.scaler.levels(series.rows["series"][0], np.column_stack(means)[known])
    return Opinion(forecasts, np.maximum(surprise, 0.0), 1)


def write_baseline(
    folder: Path,
    *,
    name: str,
    watch: Callable[[WatchedSeries, DetectionBaselineSettings], Opinion],
    shards: Artefact,
    encoded: Artefact,
    settings: DetectionBaselineSettings,
) -> DetectorSummary:
    """Fill the artefact's folder with what a detector without a network makes of every row, and an empty history."""
    started = time.perf_counter()
    scaler = LevelScaler.from_dict(json.loads(encoded.file(SCALES_FILE).read_bytes()))
    rows, horizon = pl.read_parquet(encoded.file(LEVELS_FILE)), read_layout(shards)["horizon"]
    opinions = []
    for part in rows.partition_by("series", maintain_order=True):
        levels = part.select(f"level.{channel}" for channel in scaler.channels).to_numpy(order="c")
        opinions.append(watch(WatchedSeries(rows=part, levels=levels, scaler=scaler, horizon=horizon), settings))
    threshold = write_opinions(folder, opinions, settings.detector)
    (folder / "history.json").write_text(json.dumps([]), encoding="utf-8")
    emit(Progress("baseline", name, rows.height, rows.height, "rows", finished=True))
    seconds = round(time.perf_counter() - started, 3)
    return DetectorSummary(rows=rows.height, name=name, train_s=seconds, threshold=threshold)


BASELINES = {
    name: partial(write_baseline, name=name, watch=watch)
    for name, watch in {
        "level": watch_level,
        "moving-average": watch_moving_average,
        "windowed-gaussian": watch_windowed_gaussian,
    }.items()
}


def average_before(values: np.ndarray, *, window_rows: int, lead: int = 1) -> np.ndarray:
    """Mean of the `window_rows` values that end `lead` rows before each; the first value stands for earlier ones."""
    padded = np.concatenate([np.repeat(values[:1], window_rows + lead - 1), values])
    return sliding_window_view(padded[: len(values) + window_rows - 1], window_rows).mean(axis=1)


def measure_distance(
    values: np.ndarray, *, window_rows: int = WINDOW_ROWS, step_rows: int = STEP_ROWS
) -> tuple[np.ndarray, np.ndarray]:
    """How many deviations each value [rows] lies from the mean of those before it, and that mean; the first is its own.

    The window grows with every row until it is full, then it moves on by `step_rows` at a time.
    """
    rows = np.arange(len(values))
    steps_on = np.maximum(0, rows - window_rows) // step_rows * step_rows
    mean, deviation = _describe_windows(values, steps_on, np.minimum(rows, window_rows + steps_on))
    return np.abs(values - mean) / np.where(deviation > 0, deviation, LEAST_DEVIATION), mean


def _describe_windows(values: np.ndarray, first: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of `values[first:stop]` for each pair, from running sums."""
    centred = values - values[:1]
    count = np.maximum(stop - first, 1)
    sums, squares = (np.concatenate([[0.0], np.cumsum(power)]) for power in (centred, np.square(centred)))
    mean = (sums[stop] - sums[first]) / count
    variance = (squares[stop] - squares[first]) / count - np.square(mean)
    return values[:1] + mean, np.sqrt(np.maximum(variance, 0.0))
