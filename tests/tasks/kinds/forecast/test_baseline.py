"""Baselines forecast what their names say, on every window of validation and test."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.kinds.forecast.baseline import (
    BASELINES,
    ForecastBaselineSettings,
    extend_line,
    write_drift,
    write_ridge,
    write_seasonal_naive,
)
from tasks.kinds.forecast.losses import repeat_season

SETTINGS = ForecastBaselineSettings()


def history(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[None, :, None]


def wave(rows: int, period: int) -> np.ndarray:
    phase = 2 * np.pi * np.arange(rows) / period
    return np.stack([np.sin(phase), 3 + np.cos(phase)], axis=1)


@pytest.fixture
def shards(make_shards):
    """Two channels of period 6; validation lies in two segments."""
    splits = {
        "train": [(0, 0, wave(80, 6))],
        "valid": [(0, 80, wave(30, 6)), (0, 200, wave(20, 6))],
        "test": [(0, 300, wave(40, 6))],
    }
    return make_shards(splits, look_back=12, horizon=8, season=6)


@pytest.mark.parametrize(("season", "expected"), [(1, [4, 4, 4, 4, 4]), (3, [2, 3, 4, 2, 3]), (4, [1, 2, 3, 4, 1])])
def test_the_last_season_is_repeated(season, expected):
    assert repeat_season(history(1, 2, 3, 4), horizon=5, season=season)[0, :, 0].tolist() == expected


def test_drift_goes_on_along_the_line_through_both_ends():
    assert extend_line(history(1, 9, 9, 7), horizon=2)[0, :, 0].tolist() == [9, 11]


def test_drift_of_a_single_value_repeats_it():
    assert extend_line(history(5), horizon=2)[0, :, 0].tolist() == [5, 5]


def test_the_seasonal_naive_forecast_of_a_periodic_series_is_exact(shards, tmp_path: Path):
    summary = write_seasonal_naive(tmp_path, shards=shards, settings=SETTINGS)

    assert summary.as_json() == {"rows": 33, "name": "seasonal-naive", "season": 6, "train_s": summary.train_s}
    valid, test = (np.load(tmp_path / f"{split}.npy") for split in ("valid", "test"))
    assert (valid.shape, valid.dtype) == ((12, 8, 2, 1), np.float32)
    # Window 11 of validation is the first of the second segment: 12 rows of history, then rows 12 to 19.
    assert valid[11, ..., 0] == pytest.approx(wave(20, 6)[12:], abs=1e-5)
    assert test[20, ..., 0] == pytest.approx(wave(40, 6)[32:], abs=1e-5)


def test_every_baseline_leaves_the_files_of_a_model(shards, tmp_path: Path):
    for name, write in BASELINES.items():
        folder = tmp_path / name
        folder.mkdir()
        summary = write(folder, shards=shards, settings=SETTINGS)

        assert sorted(path.name for path in folder.iterdir()) == [
            "forecast.json",
            "history.json",
            "test.npy",
            "valid.npy",
        ]
        assert json.loads((folder / "forecast.json").read_text()) == {"quantiles": []}
        assert json.loads((folder / "history.json").read_text()) == []
        assert (summary.name, summary.rows) == (name, 33)
        assert summary.train_s >= 0


def test_a_look_back_shorter_than_a_season_repeats_the_last_value_and_says_so(make_shards, tmp_path: Path):
    rows = [(0, 0, np.arange(20.0)[:, None])]
    shards = make_shards({"train": rows, "valid": rows, "test": rows}, look_back=4, horizon=3, season=6)

    summary = write_seasonal_naive(tmp_path, shards=shards, settings=SETTINGS)

    assert (summary.name, summary.season) == ("last-value", 1)
    assert np.load(tmp_path / "test.npy")[0, :, 0, 0].tolist() == [3, 3, 3]


def test_drift_forecasts_a_straight_line_exactly(make_shards, tmp_path: Path):
    rows = [(0, 0, np.arange(20.0)[:, None])]
    shards = make_shards({"train": rows, "valid": rows, "test": rows}, look_back=4, horizon=3)

    write_drift(tmp_path, shards=shards, settings=SETTINGS)

    assert np.load(tmp_path / "test.npy")[2, :, 0, 0].tolist() == [6, 7, 8]


def test_the_ridge_line_forecasts_what_is_linear_in_the_look_back(shards, tmp_path: Path):
    summary = write_ridge(tmp_path, shards=shards, settings=ForecastBaselineSettings(ridge_penalties=(1e-3, 1e3)))

    assert summary.penalty == 1e-3
    assert np.load(tmp_path / "test.npy")[7, ..., 0] == pytest.approx(wave(40, 6)[19:27], abs=0.02)
