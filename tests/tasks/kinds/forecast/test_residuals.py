"""Errors one step ahead are compared with themselves, within gap-free segments only."""

import numpy as np
import pytest

from tasks.kinds.forecast.examples import correlate_at_lag, describe_residuals


def test_the_autocorrelation_is_what_is_computed_by_hand():
    errors = np.array([[1.0], [-1.0], [1.0], [-1.0]])

    assert correlate_at_lag(errors, np.zeros(4), 1) == pytest.approx(-3 / 4)
    assert correlate_at_lag(errors, np.zeros(4), 2) == pytest.approx(2 / 4)


def test_pairs_across_a_gap_do_not_count():
    errors = np.array([[1.0], [-1.0], [1.0], [-1.0]])

    assert correlate_at_lag(errors, np.array([0, 0, 1, 1]), 1) == pytest.approx(-2 / 4)


def test_white_noise_stays_within_its_bound_and_a_walk_does_not():
    noise = np.random.default_rng(1).standard_normal((2000, 3))

    white = describe_residuals(noise, np.zeros(2000), season=24, stride=1)
    walk = describe_residuals(np.cumsum(noise, axis=0), np.zeros(2000), season=24, stride=1)

    assert [one["lag"] for one in white["autocorrelation"]] == list(range(1, 49))
    inside = [abs(one["value"]) <= white["bound"] for one in white["autocorrelation"]]
    assert white["bound"] == pytest.approx(0.0438, abs=1e-4)
    assert sum(inside) > 45
    assert all(one["value"] > walk["bound"] for one in walk["autocorrelation"])


def test_lags_are_told_in_steps_of_the_series():
    errors = np.random.default_rng(1).standard_normal((10, 1))

    found = describe_residuals(errors, np.zeros(10), season=24, stride=6)

    assert [one["lag"] for one in found["autocorrelation"]] == [6 * lag for lag in range(1, 10)]


@pytest.mark.parametrize(("errors", "segments"), [(np.zeros((5, 2)), np.zeros(5)), (np.ones((3, 1)), np.arange(3))])
def test_without_errors_or_pairs_there_is_nothing_to_correlate(errors, segments):
    assert describe_residuals(errors, segments, season=1, stride=1)["autocorrelation"] == []
