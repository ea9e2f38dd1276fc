"""Deviations are relative to large values."""

import numpy as np
import pytest

from rnnmodels.deviation import largest_deviation


def test_deviation_is_relative_to_large_values_only():
    assert largest_deviation(np.array([101.0, 0.1]), np.array([100.0, 0.0])) == pytest.approx(0.1)
