"""Forecasts in files: one row per window in stored order, whatever the batches; memory stays flat."""

import tracemalloc

import numpy as np
import pytest

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.forecasters.forecaster import SequenceForecaster
from rnnmodels.forecasters.forecasts import forecast_arrays, predict_windows, write_forecasts

SERIES = np.random.default_rng(0).normal(size=(60, 2))


def build(windows, **architecture):
    settings = {"hidden_size": 8, "segment_length": 4, "line_views": ()} | architecture
    return SequenceForecaster(ForecastArchitecture(**settings), windows.shape)


@pytest.mark.parametrize("output", ["point", "gaussian"])
def test_the_file_holds_what_each_window_is_forecast_alone(make_windows, tmp_path, output):
    windows = make_windows([SERIES, SERIES[:30]])
    model = build(windows, output=output).train()
    predict_windows(model, windows, tmp_path / "valid.npy", batch_size=7)
    written = np.load(tmp_path / "valid.npy", mmap_mode="r")
    assert model.training
    assert written.dtype == np.float32
    assert written.shape == (windows.num_rows, 4, 2, 1 + len(model.architecture.forecast_levels))
    for window in (0, 6, 7, windows.num_rows - 1):
        batch = windows.take(np.array([window]))
        alone = forecast_arrays(model, batch.history, batch.covariates)
        np.testing.assert_allclose(written[window], alone[0], atol=1e-5)
        np.testing.assert_allclose(written[window, :, :, 0], np.repeat(batch.history[0, -1:], 4, axis=0), atol=1e-6)


def test_a_baseline_is_written_by_the_same_function(make_windows, tmp_path):
    windows = make_windows([SERIES], stride=2)
    write_forecasts(tmp_path / "naive.npy", windows, lambda batch: np.repeat(batch.history[:, -1:], 4, axis=1))
    written = np.load(tmp_path / "naive.npy")
    expected = windows.take(np.arange(windows.num_rows)).history[:, -1:]
    assert np.array_equal(written[..., 0], np.repeat(expected, 4, axis=1))


def test_no_windows_make_an_empty_file(make_windows, tmp_path):
    windows = make_windows([SERIES[:3]])
    predict_windows(build(windows), windows, tmp_path / "valid.npy")
    assert np.load(tmp_path / "valid.npy").shape == (0, 4, 2, 1)


def test_memory_does_not_depend_on_the_number_of_windows(make_windows, tmp_path):
    windows = make_windows([np.zeros((50_000, 2))], horizon=20)
    tracemalloc.start()
    write_forecasts(tmp_path / "zero.npy", windows, lambda batch: np.zeros_like(batch.future))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "zero.npy").stat().st_size > 7_900_000
    assert peak_bytes < 500_000
