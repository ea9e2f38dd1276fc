"""Detectors without a network do what their names say, and leave what a model leaves."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from tasks.kinds.detect.baseline import (
    BASELINES,
    DetectionBaselineSettings,
    WatchedSeries,
    watch_level,
    watch_moving_average,
    watch_windowed_gaussian,
)
from tasks.kinds.detect.levels import LevelScale, LevelScaler
from tasks.kinds.detect.likelihood import Evidence, measure_surprise
from tests.tasks.kinds.detect.conftest import NUM_ROWS, SPIKE, WARM_UP, WINDOWS, draw_panel

SETTINGS = DetectionBaselineSettings(window_rows=5)
HORIZON = 3
WATCHERS = {
    "level": (watch_level, 2),
    "moving-average": (watch_moving_average, 1),
    "windowed-gaussian": (watch_windowed_gaussian, 1),
}


def series_of(values: np.ndarray) -> WatchedSeries:
    """A series of one channel, its levels on the scale of its first 60 rows."""
    scaler = LevelScaler(channels=("x",), missing="error", calendar=(), zone=None, series={})
    rows = pl.DataFrame({"series": "a", "value.x": values})
    scaler = scaler.with_series("a", rows.head(WARM_UP))
    return WatchedSeries(rows=rows, levels=scaler.levels("a", values[:, None]), scaler=scaler, horizon=HORIZON)


def walk(seed: int = 1, num_rows: int = 150) -> np.ndarray:
    return 30 + np.random.default_rng(seed).normal(size=num_rows)


def test_the_level_alone_forecasts_the_centre_and_is_judged_without_it():
    series = series_of(walk())
    level = series.levels[:, 0].astype(np.float64)
    likelihood = SETTINGS.detector.likelihood

    opinion = watch_level(series, SETTINGS)

    assert not opinion.forecasts.any()
    evidence = [Evidence("level"), Evidence("level", likelihood.short_run_rows)]
    assert opinion.surprise.tolist() == measure_surprise({"level": level}, evidence, likelihood).tolist()


def test_the_moving_average_ends_a_horizon_before_the_row():
    series = series_of(walk())
    level = series.levels[:, 0].astype(np.float64)

    forecasts = watch_moving_average(series, SETTINGS).forecasts[:, 0]

    # Row 100 is forecast at row 97 from the five rows up to it; before its first row a series stood still.
    assert forecasts[100] == pytest.approx(level[93:98].mean())
    assert forecasts[:4].tolist() == pytest.approx([level[0]] * 4)
    assert forecasts[4] == pytest.approx((4 * level[0] + level[1]) / 5)


def test_the_windowed_gaussian_is_surprised_as_its_tail_is_small():
    values = walk()
    values[120] += 40
    series = series_of(values)

    opinion = watch_windowed_gaussian(series, SETTINGS)

    distance = abs(values[70] - values[:70].mean()) / values[:70].std()
    assert opinion.surprise[70] == pytest.approx(-np.log10(2 * stats.norm.sf(distance)))
    assert opinion.surprise[0] == 0
    # So far out that no float holds its probability.
    assert 200 < opinion.surprise[120] < np.inf
    (expected,) = series.scaler.levels("a", np.array([[values[:98].mean()]]))
    assert opinion.forecasts[100] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", WATCHERS)
def test_nothing_is_known_before_it_happens(name: str):
    watch, _ = WATCHERS[name]
    values, changed = walk(), walk()
    changed[120:] += 9

    before, after = (watch(series_of(one), SETTINGS) for one in (values, changed))

    assert before.surprise[:120].tolist() == after.surprise[:120].tolist()
    assert before.forecasts[: 120 + HORIZON].tolist() == after.forecasts[: 120 + HORIZON].tolist()
    assert before.surprise[120:].tolist() != after.surprise[120:].tolist()


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_leaves_the_files_of_a_model(take_through, tmp_path: Path, name: str):
    lineage = take_through(draw_panel(num_channels=2))
    _, num_evidence = WATCHERS[name]
    folder = tmp_path / name
    folder.mkdir()

    summary = BASELINES[name](folder, shards=lineage.shards, encoded=lineage.encoded, settings=SETTINGS)

    names = ["detector.json", "forecasts.npy", "history.json", "surprise.npy"]
    assert sorted(path.name for path in folder.iterdir()) == names
    forecasts, surprise = (np.load(folder / one) for one in ("forecasts.npy", "surprise.npy"))
    assert (forecasts.shape, forecasts.dtype) == ((2 * NUM_ROWS, 2), np.float32)
    # The spike is one of the second channel, and after the warm-up the most surprising row of both series.
    assert surprise.reshape(2, NUM_ROWS)[:, WARM_UP:].argmax(axis=1).tolist() == [SPIKE - WARM_UP] * 2
    told = json.loads((folder / "detector.json").read_text())
    tail = SETTINGS.detector.events.tail_probability / 2
    assert stats.gamma.sf(told["threshold"] * np.log(10), num_evidence) == pytest.approx(tail)
    assert (told["num_evidence"], told["gap_share"]) == (num_evidence, SETTINGS.detector.events.gap_share)
    assert (summary.name, summary.rows) == (name, 2 * NUM_ROWS)
    assert json.loads((folder / "history.json").read_text()) == []


def test_each_series_starts_anew(take_through, tmp_path: Path):
    lineage = take_through(draw_panel((1, 2)))
    alone = take_through(draw_panel((2,)))
    for one, folder in ((lineage, tmp_path / "both"), (alone, tmp_path / "alone")):
        folder.mkdir()
        BASELINES["moving-average"](folder, shards=one.shards, encoded=one.encoded, settings=SETTINGS)

    both, single = (np.load(tmp_path / folder / "forecasts.npy") for folder in ("both", "alone"))

    assert both[NUM_ROWS:].tolist() == single.tolist()
    assert WINDOWS.horizon > 1


def test_the_scale_of_a_series_is_that_of_its_name():
    scales = {name: {"x": LevelScale(centre=centre, deviation=1.0)} for name, centre in (("a", 0.0), ("b", 100.0))}
    scaler = LevelScaler(channels=("x",), missing="error", calendar=(), zone=None, series=scales)
    rows = pl.DataFrame({"series": "b", "value.x": [100.0] * 9})
    series = WatchedSeries(rows=rows, levels=np.zeros((9, 1), np.float32), scaler=scaler, horizon=HORIZON)

    assert not watch_windowed_gaussian(series, SETTINGS).forecasts.any()
