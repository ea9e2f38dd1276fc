"""Losses are what one computes by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnmodels.forecasters.windows import open_windows
from tasks.kinds.forecast.losses import LossScales, central_intervals, measure_seasonal_differences
from tasks.panel.scaler import Units

UNSCALED = Units(centre=np.zeros((1, 1)), scale=np.ones((1, 1)))
ONE_SERIES = np.zeros(1, int)


def measure(
    truth: list[float], outputs: list[list[float]], *, levels: tuple[float, ...] = (), units=UNSCALED, unit=1.0
):
    """Losses of one window with one channel, each as a list over the horizon."""
    scales = LossScales(levels=levels, units=units, seasonal=np.array([[unit]]))
    losses = scales.measure(np.array(truth)[None, :, None], np.array(outputs)[None, :, None], ONE_SERIES)
    return {name: loss[0, :, 0].tolist() for name, loss in losses.items()}


def test_point_losses_are_what_is_computed_by_hand():
    losses = measure([3.0, -1.0], [[1.0], [1.0]], unit=4.0)

    assert losses == {
        "mse": [4.0, 4.0],
        "mae": [2.0, 2.0],
        "mase": [0.5, 0.5],
        "smape": [100.0, 200.0],
        "crps": [2.0, 2.0],
    }


def test_symmetric_percentages_are_taken_in_original_units():
    units = Units(centre=np.array([[10.0]]), scale=np.array([[5.0]]))

    # 20 against 15, and 0 against 0.
    assert measure([2.0, -2.0], [[1.0], [-2.0]], units=units)["smape"] == [pytest.approx(200 * 5 / 35), 0.0]


def test_quantiles_give_the_ranked_probability_score_coverage_and_width():
    losses = measure([5.0, 9.0], [[0.0, 4.0, 5.0, 7.0]] * 2, levels=(0.1, 0.5, 0.9))

    # At 5: pinball 0.1, 0, 0.2; at 9: 0.5, 2, 1.8.
    assert losses["crps"] == [pytest.approx(2 * 0.3 / 3), pytest.approx(2 * 4.3 / 3)]
    assert losses["coverage_80"] == [1.0, 0.0]
    assert losses["width_80"] == [3.0, 3.0]


def test_a_certain_forecast_has_the_same_score_with_and_without_quantiles():
    spelled_out = measure([5.0], [[3.0, 3.0, 3.0, 3.0]], levels=(0.1, 0.5, 0.9))

    assert spelled_out["crps"] == [pytest.approx(measure([5.0], [[3.0]])["crps"][0])]


@settings(max_examples=20)
@given(st.lists(st.floats(-1e3, 1e3), min_size=9, max_size=9), st.floats(-1e3, 1e3))
def test_the_true_quantiles_cannot_be_beaten_by_more_than_they_are_wrong(samples, shift):
    # The sample's own deciles minimise the mean score over the sample.
    levels = tuple(np.arange(1, 10) / 10)
    deciles = np.quantile(samples, levels, method="inverted_cdf")

    def mean_score(quantiles: np.ndarray) -> float:
        return np.mean([measure([value], [[0.0, *quantiles]], levels=levels)["crps"][0] for value in samples])

    assert mean_score(deciles) <= mean_score(deciles + shift) + 1e-9


def test_central_intervals_pair_mirrored_levels():
    assert central_intervals((0.05, 0.1, 0.5, 0.9, 0.95)) == [("90", 0, 4), ("80", 1, 3)]
    assert central_intervals((0.1, 0.5, 0.8)) == []


def test_seasonal_differences_stop_at_gaps_and_keep_series_apart(make_shards):
    steps = np.arange(6.0)[:, None]
    segments = [(0, 0, steps), (0, 100, 10 * steps), (1, 0, np.ones((6, 1)))]
    shards = make_shards({"train": segments}, look_back=2, horizon=1)
    windows = open_windows(shards.file("train.arrow"), look_back=2, horizon=1)

    found = measure_seasonal_differences(windows, season=2, num_series=3)

    # Four differences of 2 and four of 20; a constant series and one without rows have no unit.
    assert found.tolist() == [[11.0], [pytest.approx(np.nan, nan_ok=True)], [pytest.approx(np.nan, nan_ok=True)]]
