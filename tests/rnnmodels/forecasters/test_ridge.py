"""The line: exact where a series is linear, equal to another library's, chosen on validation."""

import itertools
import re

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from rnnmodels.forecasters.ridge import Trial, choose_ridge, cut_blocks, fit_ridge, measure_moments

LOOK_BACK, HORIZON = 12, 6


def noisy_waves(num_rows, seed=0):
    generator = np.random.default_rng(seed)
    step = np.arange(num_rows)[:, None]
    return np.sin(step / np.array([3.0, 5.0])) + step / 400 + 0.3 * generator.normal(size=(num_rows, 2))


@pytest.fixture
def make_splits(make_windows):
    def make(train, valid):
        sizes = {"look_back": LOOK_BACK, "horizon": HORIZON}
        return make_windows([train], name="train", **sizes), make_windows([valid], name="valid", **sizes)

    return make


def test_a_linear_series_is_continued_exactly(make_splits):
    step = np.arange(400.0)[:, None]
    series = 2 * np.sin(step / 4) + 0.02 * step + 5
    train, valid = make_splits(series[:300], series[300:])
    ridge = fit_ridge(train, valid, [1e-10])
    batch = valid.take(np.arange(valid.num_rows))
    assert np.abs(ridge.forecast(batch.history) - batch.future).max() < 1e-3
    assert np.abs(batch.history[:, -1:] - batch.future).max() > 1


def test_weights_are_those_of_another_library(make_splits):
    train, valid = make_splits(noisy_waves(300), noisy_waves(100, seed=1))
    batch = train.take(np.arange(train.num_rows))
    last = batch.history[:, -1:]
    history, future = (
        (values - last).transpose(0, 2, 1).reshape(-1, values.shape[1]) for values in (batch.history, batch.future)
    )
    expected = SklearnRidge(alpha=0.5 * len(history), fit_intercept=False).fit(history, future).coef_.T
    np.testing.assert_allclose(fit_ridge(train, valid, [0.5]).weights, expected, atol=1e-5)


def test_the_penalty_is_the_best_on_validation_and_its_error_that_of_the_forecasts(make_splits):
    train, valid = make_splits(noisy_waves(60), noisy_waves(300, seed=1))
    batch = valid.take(np.arange(valid.num_rows))
    errors = {}
    for penalty in (1e-6, 1e-1, 1e4):
        ridge = fit_ridge(train, valid, [penalty])
        errors[penalty] = np.mean((ridge.forecast(batch.history) - batch.future) ** 2)
        assert ridge.valid_mse == pytest.approx(errors[penalty], rel=1e-4)
    assert min(errors, key=errors.get) == 1e-1
    assert fit_ridge(train, valid, list(errors)).penalty == 1e-1


def test_a_level_that_moves_moves_the_forecast_along(make_splits):
    train, valid = make_splits(noisy_waves(200), noisy_waves(60, seed=1))
    ridge = fit_ridge(train, valid, [0.01])
    history = valid.take(np.arange(5)).history
    np.testing.assert_allclose(ridge.forecast(history + 100), ridge.forecast(history) + 100, atol=1e-4)


def test_moments_do_not_depend_on_how_windows_are_batched(make_splits, monkeypatch):
    train, _ = make_splits(noisy_waves(200), noisy_waves(60))
    whole = measure_moments(train)
    monkeypatch.setattr("rnnmodels.forecasters.ridge.ROWS_PER_BATCH", 7)
    np.testing.assert_allclose(measure_moments(train).gram, whole.gram, rtol=1e-12)


def changes_of(windows, ids):
    """Histories and futures of some windows and all channels, less the last value."""
    batch = windows.take(np.array(ids))
    last = batch.history[:, -1:]
    return [(values - last).transpose(0, 2, 1).reshape(-1, values.shape[1]) for values in (batch.history, batch.future)]


@pytest.mark.parametrize("stride", [1, 4, HORIZON])
def test_each_block_judges_what_windows_that_share_no_target_with_it_fit(make_windows, stride):
    windows = make_windows([noisy_waves(200)], look_back=LOOK_BACK, horizon=HORIZON, stride=stride)
    edges = [windows.num_rows * block // 3 for block in range(4)]
    trials = list(cut_blocks(windows, measure_moments(windows), 3))
    for (first, stop), trial in zip(itertools.pairwise(edges), trials, strict=True):
        judged = range(first, stop)
        apart = [i for i in range(windows.num_rows) if all(abs(i - j) * stride >= HORIZON for j in judged)]
        for ids, moments in ((judged, trial.judged), (apart, trial.fitted)):
            rows = np.concatenate(changes_of(windows, ids), axis=1).astype(np.float64)
            np.testing.assert_allclose(moments.gram, rows.T @ rows / len(rows), atol=1e-6)
            assert moments.num_windows == len(ids)


def test_blocks_and_validation_choose_the_penalty_together_whatever_their_scale(make_splits):
    train, valid = make_splits(noisy_waves(60), noisy_waves(300, seed=1))
    view, penalties = np.eye(LOOK_BACK), (1e-6, 1e-1, 1e4)
    validation = Trial(measure_moments(train), measure_moments(valid))
    still = make_splits(noisy_waves(80), np.zeros((60, 2)) + 1e-3 * noisy_waves(60, seed=2))
    block = Trial(*map(measure_moments, still))
    trials = (validation, block, block)
    errors = np.array([[trial.judged.error_of(trial.fitted.solve(p, view)) for p in penalties] for trial in trials])
    assert choose_ridge(validation, [], penalties, view).penalty == penalties[errors[0].argmin()] == 1e-1
    together = choose_ridge(validation, trials[1:], penalties, view)
    assert together.penalty == penalties[np.log(errors).mean(axis=0).argmin()] != 1e-1
    assert errors.mean(axis=0).argmin() == errors[0].argmin()
    np.testing.assert_allclose(together.weights, validation.fitted.solve(together.penalty, view), atol=1e-6)
    assert together.valid_mse == pytest.approx(errors[0][penalties.index(together.penalty)])


def test_a_series_that_stands_still_is_forecast_exactly_whatever_the_blocks(make_windows):
    windows = make_windows([np.full((60, 2), 7.0)], look_back=LOOK_BACK, horizon=HORIZON)
    validation = Trial(measure_moments(windows), measure_moments(windows))
    blocks = cut_blocks(windows, validation.fitted, 3)
    ridge = choose_ridge(validation, blocks, [1e-3, 1.0], np.eye(LOOK_BACK))
    assert (ridge.penalty, ridge.valid_mse) == (1e-3, 0)
    assert not ridge.weights.any()


@pytest.mark.parametrize(("num_rows", "num_blocks"), [(LOOK_BACK + 2 * HORIZON, 2), (60, 1), (19, 3)])
def test_blocks_that_leave_no_windows_to_fit_are_refused(make_windows, num_rows, num_blocks):
    windows = make_windows([noisy_waves(num_rows)], look_back=LOOK_BACK, horizon=HORIZON)
    message = f"got {windows.num_rows} windows, expected more for {num_blocks} blocks that leave some to fit"
    with pytest.raises(ValueError, match=f"^{re.escape(f'{windows.place}: {message}')}$"):
        list(cut_blocks(windows, measure_moments(windows), num_blocks))


def test_no_windows_to_fit_to_are_named(make_splits, tmp_path):
    train, valid = make_splits(noisy_waves(200), noisy_waves(LOOK_BACK + HORIZON - 1))
    with pytest.raises(ValueError, match=re.escape(f"no windows in {tmp_path / 'valid.arrow'}, expected at least one")):
        fit_ridge(train, valid, [1.0])
