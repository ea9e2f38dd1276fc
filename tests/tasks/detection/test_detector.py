"""A detector sees only what has arrived: row by row it says what it says of the whole series."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rnnmodels.forecast_config import ForecastTraining
from rnnmodels.forecaster import SequenceForecaster
from tasks.detection.detector import StreamingDetector, detect_panel
from tasks.detection.forecasting import ARCHITECTURE, fit_forecaster, forecast_panel
from tasks.detection.moving_average import subtract_moving_average
from tasks.detection.panel import LevelScale, Series
from tasks.detection.settings import DetectorSettings

WARM_UP, NUM_ROWS, SPIKE = 60, 160, 120
SMALL = ARCHITECTURE.model_copy(update={"hidden_size": 6, "segment_length": 4})
FAST = ForecastTraining(epochs=2, learning_rate=1e-2, device="cpu")
SHAPE = (8, 4)


def make_series(seed: int, *, name: str, after: float = 0.0) -> Series:
    draw = np.random.default_rng(seed)
    values = 50 + 9 * np.sin(np.arange(NUM_ROWS) / 4) + draw.normal(size=NUM_ROWS)
    values[SPIKE] += 60
    values[WARM_UP:] += after
    start = datetime(2026, 3, 1)
    times = pl.Series([start + timedelta(minutes=30 * row) for row in range(NUM_ROWS)])
    return Series(name=name, times=times, values=values, warm_up_rows=WARM_UP)


def fit_small(panel: list[Series], folder: Path) -> SequenceForecaster:
    return fit_forecaster(panel, folder, architecture=SMALL, training=FAST, shape=SHAPE)


@pytest.fixture(scope="module")
def panel() -> list[Series]:
    return [make_series(seed, name=str(seed)) for seed in (1, 2)]


@pytest.fixture(scope="module")
def model(panel, tmp_path_factory) -> SequenceForecaster:
    return fit_small(panel, tmp_path_factory.mktemp("fit"))


def test_row_by_row_a_series_is_judged_as_at_once(panel, model, tmp_path):
    settings = DetectorSettings()
    for series, whole in zip(panel, detect_panel(model, panel, tmp_path, settings), strict=True):
        stream = StreamingDetector(model, series.scale, warm_up_rows=WARM_UP, settings=settings)
        judged = [stream.update(*row) for row in zip(series.times, series.values, strict=True)]

        assert [one.surprise for one in judged] == pytest.approx(whole.surprise.tolist(), abs=1e-12)
        assert [row for row, one in enumerate(judged) if one.is_alarm] == [event.start for event in whole.events]
        assert [event.start for event in stream.events] == [SPIKE]


def test_a_row_is_held_against_what_was_known_a_horizon_before(panel, model, tmp_path):
    # From its row on a change may move the forecasts of rows that lie a horizon ahead, and none before.
    changed = Series(name="1", times=panel[0].times, values=panel[0].values.copy(), warm_up_rows=WARM_UP)
    changed.values[SPIKE] += 500

    (before,), (after,) = (forecast_panel(model, [series], tmp_path) for series in (panel[0], changed))

    differs = np.flatnonzero(before != after)
    assert differs.min() == SPIKE + SHAPE[1]
    assert len(before) == NUM_ROWS


def test_rows_after_the_warm_up_neither_fit_nor_scale(panel, model, tmp_path):
    shifted = [make_series(seed, name=str(seed), after=1000.0) for seed in (1, 2)]

    again = fit_small(shifted, tmp_path)

    assert [series.scale for series in shifted] == [series.scale for series in panel]
    for name, weights in model.state_dict().items():
        assert again.state_dict()[name].equal(weights), name


def test_levels_are_distances_from_the_warm_up_in_its_deviations():
    scale = LevelScale.fit(np.array([1.0, 3.0, 5.0]))

    levels = scale.transform(np.array([3.0, 3.0 + scale.deviation, 3.0 + 1000 * scale.deviation]))

    assert levels.tolist() == pytest.approx([0.0, np.arcsinh(1), np.arcsinh(1000)])
    assert LevelScale.fit(np.full(5, 7.0)) == LevelScale(centre=7.0, deviation=1.0)


def test_the_forecaster_learns_what_a_moving_average_misses(panel, model, tmp_path):
    (forecast, _), series = forecast_panel(model, panel, tmp_path), panel[0]
    ordinary = slice(WARM_UP, SPIKE)

    error = np.abs(series.levels - forecast)[ordinary].mean()
    averaged = np.abs(subtract_moving_average(series.levels, window_rows=sum(SHAPE)))[ordinary].mean()

    assert error < averaged
