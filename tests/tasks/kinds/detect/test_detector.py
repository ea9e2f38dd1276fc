"""A detector sees only what has arrived: row by row it says what it says of the whole series."""

import json

import numpy as np
import polars as pl
import pytest

from rnnmodels.forecasters.forecaster import SequenceForecaster
from rnnmodels.training.checkpoint import load_model
from tasks.contract.lineage import Lineage
from tasks.kinds.detect.baseline import average_before
from tasks.kinds.detect.detector import StreamingDetector, decide_threshold, judge_rows
from tasks.kinds.detect.events import count_gap_rows, find_events, find_threshold
from tasks.kinds.detect.forecasting import forecast_rows
from tasks.kinds.detect.levels import LevelScaler
from tasks.kinds.detect.settings import DetectorSettings
from tasks.store.artefacts import Artefact
from tests.tasks.kinds.detect.conftest import CANDIDATE, SPIKE, WARM_UP, WINDOWS

Fitted = tuple[Lineage, Artefact]


def load(fitted: Fitted) -> tuple[SequenceForecaster, LevelScaler, list[pl.DataFrame]]:
    lineage, model = fitted
    scaler = LevelScaler.from_dict(json.loads(lineage.encoded.file("scales.json").read_bytes()))
    series = pl.read_parquet(lineage.encoded.file("levels.parquet")).partition_by("series", maintain_order=True)
    return load_model(SequenceForecaster, model.path), scaler, series


def split_by_series(values: np.ndarray, series: list[pl.DataFrame]) -> list[np.ndarray]:
    return np.split(values, np.cumsum([part.height for part in series])[:-1])


@pytest.mark.parametrize("which", ["fitted", "fitted_channels"])
def test_row_by_row_a_series_is_judged_as_at_once(request, which: str):
    fitted: Fitted = request.getfixturevalue(which)
    model, scaler, series = load(fitted)
    surprises = split_by_series(np.load(fitted[1].file("surprise.npy")), series)
    forecasts = split_by_series(np.load(fitted[1].file("forecasts.npy")), series)
    told = json.loads(fitted[1].file("detector.json").read_bytes())

    for part, surprise, forecast_NC in zip(series, surprises, forecasts, strict=True):
        name = part["series"][0]
        stream = StreamingDetector(model, scaler, name, warm_up_rows=WARM_UP, settings=CANDIDATE.detector)
        judged = [
            stream.update(time, values) for time, values in zip(part["time"], scaler.values_of(part), strict=True)
        ]

        assert [one.surprise for one in judged] == pytest.approx(surprise.tolist(), abs=1e-12)
        expected = scaler.values(name, forecast_NC)
        assert np.array([one.expected for one in judged]) == pytest.approx(expected, rel=1e-5)
        gap_rows = count_gap_rows(told["gap_share"], WARM_UP)
        events = find_events(surprise, threshold=told["threshold"], gap_rows=gap_rows, first_row=WARM_UP)
        assert stream.events == pytest.approx(events)
        assert [row for row, one in enumerate(judged) if one.is_alarm] == [event.start for event in events] == [SPIKE]
        assert [one.is_anomaly for one in judged][WARM_UP:] == (surprise >= told["threshold"])[WARM_UP:].tolist()


def test_a_row_is_held_against_what_was_known_a_horizon_before(fitted: Fitted):
    # From its row on a change may move the forecasts of rows that lie a horizon ahead, and none before.
    model, scaler, (part, _) = load(fitted)
    levels_NC, calendar_ND = part.select("level.value").to_numpy(), scaler.describe_times(part["time"])
    changed_NC = levels_NC.copy()
    changed_NC[SPIKE] += 3

    before, after = (forecast_rows(model, levels, calendar_ND) for levels in (levels_NC, changed_NC))

    assert np.flatnonzero(before != after).min() == SPIKE + WINDOWS.horizon
    assert len(before) == part.height


def test_forecasts_of_one_series_are_those_of_the_stored_windows(fitted: Fitted):
    model, scaler, series = load(fitted)
    stored = split_by_series(np.load(fitted[1].file("forecasts.npy")), series)

    for part, forecasts_NC in zip(series, stored, strict=True):
        levels_NC, calendar_ND = part.select("level.value").to_numpy(), scaler.describe_times(part["time"])
        assert forecast_rows(model, levels_NC, calendar_ND) == pytest.approx(forecasts_NC, abs=1e-6)


def test_the_most_surprising_channel_speaks_for_its_row():
    draw = np.random.default_rng(1)
    levels_NC, forecasts_NC = (draw.normal(size=(200, 2)).astype(np.float32) for _ in range(2))
    settings = DetectorSettings()

    alone = [judge_rows(levels_NC[:, [c]], forecasts_NC[:, [c]], settings) for c in range(2)]

    assert judge_rows(levels_NC, forecasts_NC, settings).tolist() == np.maximum(*alone).tolist()
    assert decide_threshold(settings, 2) == find_threshold(settings.events.tail_probability / 2, 3)
    assert decide_threshold(settings, 2) > decide_threshold(settings, 1)


def test_the_forecaster_learns_what_a_moving_average_of_as_long_ago_misses(fitted: Fitted):
    _, _, series = load(fitted)
    forecasts_NC, ordinary = np.load(fitted[1].file("forecasts.npy")), slice(WARM_UP, SPIKE)
    levels = series[0]["level.value"].to_numpy()
    average = average_before(levels, window_rows=WINDOWS.look_back, lead=WINDOWS.horizon)

    error = np.abs(levels - forecasts_NC[: len(levels), 0])[ordinary].mean()
    averaged = np.abs(levels - average)[ordinary].mean()

    assert error < 0.8 * averaged
