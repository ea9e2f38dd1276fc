"""The lines of channels: another library's regressions on what the line leaves, each on its own channel."""

import re

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from rnnmodels.forecasters.line import fit_channel_lines
from rnnmodels.forecasters.ridge import fit_ridge

LOOK_BACK, HORIZON, STEPS = 12, 6, 5


@pytest.fixture
def splits(make_windows):
    """Windows over two channels whose waves swing at different rates."""
    step = np.arange(400)[:, None]
    series = np.sin(step / np.array([2.0, 7.0])) + 0.1 * np.random.default_rng(0).normal(size=(400, 2))
    sizes = {"look_back": LOOK_BACK, "horizon": HORIZON}
    return make_windows([series[:250]], name="train", **sizes), make_windows([series[250:]], name="valid", **sizes)


def left_by(line_LH, windows, channel):
    """A channel's last steps, and what a line leaves of its future."""
    batch = windows.take(np.arange(windows.num_rows))
    history, future = (
        values[..., channel] - batch.history[:, -1:, channel] for values in (batch.history, batch.future)
    )
    return history[:, -STEPS:], future - history @ line_LH


def test_each_channel_has_the_regression_of_another_library_on_what_the_line_leaves(splits):
    train, valid = splits
    line = fit_ridge(train, valid, [0.1])
    own = fit_channel_lines(train, valid, line.weights, STEPS, 0.5)
    errors = []
    for channel in range(2):
        recent, rest = left_by(line.weights, train, channel)
        other = SklearnRidge(alpha=0.5 * len(recent), fit_intercept=False).fit(recent, rest)
        np.testing.assert_allclose(own.weights[channel], other.coef_.T, atol=1e-5)
        recent, rest = left_by(line.weights, valid, channel)
        errors.append(np.mean((rest - recent @ other.coef_.T) ** 2))
    assert own.valid_mse == pytest.approx(np.mean(errors), rel=1e-4)
    assert own.valid_mse < 0.8 * line.valid_mse


def test_a_penalty_without_bound_leaves_the_line_alone(splits):
    line = fit_ridge(*splits, [0.1])
    own = fit_channel_lines(*splits, line.weights, STEPS, 1e12)
    assert np.abs(own.weights).max() < 1e-9
    assert own.valid_mse == pytest.approx(line.valid_mse)


def test_results_do_not_depend_on_how_windows_are_batched(splits, monkeypatch):
    line = fit_ridge(*splits, [0.1])
    whole = fit_channel_lines(*splits, line.weights, STEPS, 0.5)
    monkeypatch.setattr("rnnmodels.forecasters.line.WINDOWS_PER_BATCH", 7)
    parts = fit_channel_lines(*splits, line.weights, STEPS, 0.5)
    np.testing.assert_allclose(parts.weights, whole.weights, atol=1e-6)
    assert parts.valid_mse == pytest.approx(whole.valid_mse)


def test_more_steps_than_the_look_back_are_refused(splits):
    line = fit_ridge(*splits, [0.1])
    message = re.escape("channel_steps: got 13, expected at most the look-back 12")
    with pytest.raises(ValueError, match=f"^{message}$"):
        fit_channel_lines(*splits, line.weights, LOOK_BACK + 1, 0.5)
