"""The line of several views: each view shows what it says, and their mean is one map on the steps."""

import re

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.forecasters.line import build_views, fit_line, view_profiles
from rnnmodels.forecasters.ridge import Trial, cut_blocks, fit_ridge, measure_moments

LOOK_BACK, HORIZON, SEASON = 40, 6, 4
PENALTIES = (1e-3, 1e-1, 10.0)


@pytest.fixture
def splits(make_windows):
    """Windows over noisy seasons of two channels with a level that wanders."""
    generator = np.random.default_rng(0)
    step = np.arange(700)[:, None]
    season = np.sin(2 * np.pi * step / SEASON + np.array([0.0, 1.0]))
    series = season + generator.normal(size=(700, 2)) + 0.05 * generator.normal(size=(700, 2)).cumsum(axis=0)
    sizes = {"look_back": LOOK_BACK, "horizon": HORIZON}
    return make_windows([series[:500]], name="train", **sizes), make_windows([series[500:]], name="valid", **sizes)


def changes_of(windows):
    """Histories and futures of all windows and channels, less the last value."""
    batch = windows.take(np.arange(windows.num_rows))
    last = batch.history[:, -1:]
    return [(values - last).transpose(0, 2, 1).reshape(-1, values.shape[1]) for values in (batch.history, batch.future)]


def views_of(*names, **settings):
    architecture = ForecastArchitecture(line_views=names, **{"profile_length": SEASON} | settings)
    return build_views(architecture, LOOK_BACK)


@pytest.mark.parametrize(("num_steps", "spans"), [(LOOK_BACK, (1, 7, 10)), (14, (1, 3)), (SEASON, (1,))])
def test_profiles_are_the_mean_seasons_of_the_near_and_the_far_past(num_steps, spans):
    history = np.random.default_rng(0).normal(size=num_steps)
    expected = [
        np.sqrt(span) * history[num_steps - span * SEASON :].reshape(span, SEASON).mean(axis=0) for span in spans
    ]
    view = view_profiles(num_steps, SEASON)
    np.testing.assert_allclose(history[-len(view) :] @ view, np.concatenate(expected), atol=1e-12)


def test_all_features_are_of_one_norm_so_that_a_penalty_bears_on_them_alike():
    for view in views_of("steps", "profiles").values():
        np.testing.assert_allclose(np.linalg.norm(view, axis=0), 1)


@pytest.mark.parametrize(("name", "num_steps"), [("steps", 9), ("profiles", LOOK_BACK)])
def test_one_view_is_the_regression_of_another_library_on_its_features(splits, name, num_steps):
    train, valid = splits
    view = views_of(name, line_look_back=9)[name]
    history, future = changes_of(train.looking_back(num_steps))
    other = SklearnRidge(alpha=0.5 * len(history), fit_intercept=False).fit(history @ view, future)
    line = fit_line(train, valid, [0.5], {name: view})
    np.testing.assert_allclose(line.weights[-num_steps:], view @ other.coef_.T, atol=1e-5)
    assert not line.weights[:-num_steps].any()


def test_the_line_is_the_mean_of_its_views_each_with_the_penalty_that_is_best_for_it(splits):
    train, valid = splits
    views = views_of("steps", "profiles")
    alone = {name: fit_line(train, valid, PENALTIES, {name: view}) for name, view in views.items()}
    both = fit_line(train, valid, PENALTIES, views)
    assert both.penalties == {"steps": alone["steps"].penalties["steps"], "profiles": 1e-1}
    np.testing.assert_allclose(both.weights, (alone["steps"].weights + alone["profiles"].weights) / 2, atol=1e-6)
    history, future = changes_of(valid)
    assert both.valid_mse == pytest.approx(np.mean((history @ both.weights - future) ** 2), rel=1e-4)
    assert alone["profiles"].valid_mse < alone["steps"].valid_mse


def test_blocks_of_training_windows_choose_the_penalty_of_each_view_beside_validation(splits):
    train, valid = splits
    views = views_of("steps", "profiles", line_look_back=9)
    line = fit_line(train, valid, PENALTIES, views, num_blocks=3)
    for name, view in views.items():
        windows = train.looking_back(len(view))
        validation = Trial(measure_moments(windows), measure_moments(valid.looking_back(len(view))))
        trials = [validation, *cut_blocks(windows, validation.fitted, 3)]
        errors = [[trial.judged.error_of(trial.fitted.solve(p, view)) for p in PENALTIES] for trial in trials]
        assert line.penalties[name] == PENALTIES[np.log(errors).mean(axis=0).argmin()]


def test_all_steps_alone_are_the_ridge_line(splits):
    line, ridge = fit_line(*splits, PENALTIES, views_of("steps")), fit_ridge(*splits, PENALTIES)
    np.testing.assert_allclose(line.weights, ridge.weights, atol=1e-6)
    assert line.penalties == {"steps": ridge.penalty}
    assert line.valid_mse == pytest.approx(ridge.valid_mse)


@pytest.mark.parametrize(("name", "setting"), [("steps", "line_look_back"), ("profiles", "profile_length")])
def test_a_view_longer_than_the_look_back_is_refused_and_one_that_is_not_used_is_not(name, setting):
    message = re.escape(f"{setting}: got 41, expected at most the look-back 40")
    with pytest.raises(ValueError, match=f"^{message}$"):
        views_of(name, **{setting: 41})
    (unused,) = {"steps", "profiles"} - {name}
    assert list(views_of(unused, **{setting: 41})) == [unused]
