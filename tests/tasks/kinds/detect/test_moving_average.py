"""The moving average is that of the rows before, never of the row itself."""

import numpy as np
import pytest

from tasks.kinds.detect.baseline import average_before

VALUES = np.array([1.0, 2.0, 6.0, 3.0])


@pytest.mark.parametrize(("lead", "averages"), [(1, [1.0, 1.0, 1.5, 4.0]), (2, [1.0, 1.0, 1.0, 1.5])])
def test_each_value_is_held_against_the_mean_of_those_before_it(lead: int, averages: list[float]):
    assert average_before(VALUES, window_rows=2, lead=lead).tolist() == averages


def test_long_series_of_large_values_lose_no_digits():
    values = 1e9 + np.random.default_rng(0).normal(size=5000)

    found = values - average_before(values, window_rows=100)

    assert found[4000] == pytest.approx(values[4000] - values[3900:4000].mean(), abs=1e-6)
