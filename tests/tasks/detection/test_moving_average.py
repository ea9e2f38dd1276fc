"""The moving average is that of the rows before, never of the row itself."""

import numpy as np
import pytest

from tasks.detection.moving_average import subtract_moving_average


def test_each_value_is_held_against_the_mean_of_those_before_it():
    assert subtract_moving_average(np.array([1.0, 2.0, 6.0, 3.0]), window_rows=2).tolist() == [0.0, 1.0, 4.5, -1.0]


def test_long_series_of_large_values_lose_no_digits():
    values = 1e9 + np.random.default_rng(0).normal(size=5000)

    found = subtract_moving_average(values, window_rows=100)

    assert found[4000] == pytest.approx(values[4000] - values[3900:4000].mean(), abs=1e-6)
