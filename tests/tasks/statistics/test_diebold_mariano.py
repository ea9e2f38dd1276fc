"""Forecasts are compared by origins that share targets, and equal ones are told apart no oftener than promised."""

import numpy as np
import pytest
from scipy import stats

from tasks.statistics.paired_tests import bartlett_variance, diebold_mariano_p_value


def overlapping_gains(trials: int, num_origins: int, overlap: int, shift: float = 0.0) -> np.ndarray:
    """Gains [trials, origins] of windows that are means over `overlap` steps of white noise."""
    steps = np.random.default_rng(5).standard_normal((trials, num_origins + overlap - 1)) + shift
    return np.lib.stride_tricks.sliding_window_view(steps, overlap, axis=1).mean(axis=2)


def test_the_long_run_variance_is_what_is_computed_by_hand():
    # Centred: -1, 1, 0; squares 2/3, neighbours -1/3, weighted 2/3 and 1/3: 2/3 + 2 (2/3)(-1/3) + 2 (1/3)(0).
    assert bartlett_variance(np.array([0.0, 2.0, 1.0]), lags=2) == pytest.approx(2 / 3 - 4 / 9)
    assert bartlett_variance(np.array([0.0, 2.0, 1.0]), lags=0) == pytest.approx(2 / 3)


def test_the_p_value_is_what_is_computed_by_hand():
    gains = np.array([0.0, 2.0, 1.0])

    # Overlap 2: lags 2, variance 2/9; correction (3 + 1 - 4 + 2/3) / 3 = 2/9; t = 1 * sqrt(2/9 * 3 / (2/9)).
    assert diebold_mariano_p_value(gains, overlap=2) == pytest.approx(stats.t.sf(np.sqrt(3), 1.5))


def test_independent_gains_make_it_the_t_test():
    gains = np.random.default_rng(1).normal(0.1, 1, 40)

    expected = stats.ttest_1samp(gains, 0, alternative="greater").pvalue
    assert diebold_mariano_p_value(gains, overlap=0) == pytest.approx(expected)


@pytest.mark.parametrize(("gain", "p"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0)])
def test_gains_that_are_all_alike_leave_nothing_to_chance(gain, p):
    assert diebold_mariano_p_value(np.full(50, gain), overlap=4) == p


@pytest.mark.parametrize(("num_gains", "overlap"), [(1, 0), (1, 1), (4, 4)])
def test_gains_that_all_share_targets_show_nothing(num_gains, overlap):
    assert diebold_mariano_p_value(np.full(num_gains, 1.0), overlap=overlap) == 1.0
    assert diebold_mariano_p_value(np.full(num_gains + 1, 1.0), overlap=overlap) == 0.0


@pytest.mark.parametrize(("num_origins", "overlap"), [(72, 24), (240, 24), (60, 1)])
def test_equal_forecasts_are_told_apart_no_oftener_than_promised(num_origins, overlap):
    p_values = [
        diebold_mariano_p_value(gains, overlap=overlap) for gains in overlapping_gains(800, num_origins, overlap)
    ]

    # 3 standard deviations of the count above 6 % of 800.
    assert sum(p <= 0.05 for p in p_values) <= 68


def test_a_test_that_ignores_the_overlap_cries_wolf():
    p_values = [diebold_mariano_p_value(gains, overlap=0) for gains in overlapping_gains(200, 240, 24)]

    assert sum(p <= 0.05 for p in p_values) > 50


def test_a_real_gain_is_found():
    # The mean gain is 3 standard deviations of the mean of 240 steps.
    p_values = [
        diebold_mariano_p_value(gains, overlap=24) for gains in overlapping_gains(200, 240, 24, shift=3 / 240**0.5)
    ]

    assert sum(p <= 0.05 for p in p_values) > 140
