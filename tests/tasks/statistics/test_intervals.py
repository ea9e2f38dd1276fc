import numpy as np
import pytest

from tasks.statistics.intervals import (
    draw_resamples,
    mean_with_interval,
    percentile_interval,
    reflected_interval,
    share_with_interval,
)


def test_every_resample_draws_as_many_rows_as_there_are() -> None:
    chunks = list(draw_resamples(num_rows=7, resamples=150, seed=3))
    counts = np.concatenate(chunks, axis=1)
    assert counts.shape == (7, 150)
    assert (counts.sum(axis=0) == 7).all()
    assert counts.min() == 0
    assert counts.max() > 1


def test_the_same_seed_draws_the_same_resamples_and_another_seed_others() -> None:
    first, same, other = (np.concatenate(list(draw_resamples(50, 20, seed)), axis=1) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_the_bootstrap_interval_of_a_mean_agrees_with_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(2.0, 3.0, size=4_000)
    interval = mean_with_interval(values, resamples=2_000, confidence=0.95, seed=1)
    half_width = 1.96 * values.std() / np.sqrt(len(values))
    assert interval["value"] == pytest.approx(values.mean())
    assert interval["low"] == pytest.approx(values.mean() - half_width, abs=0.1 * half_width)
    assert interval["high"] == pytest.approx(values.mean() + half_width, abs=0.1 * half_width)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_bootstrap_interval_covers_the_truth_as_often_as_it_says(confidence: float) -> None:
    generator, truth, trials = np.random.default_rng(0), 0.8, 400
    covered = 0
    for trial in range(trials):
        correct = (generator.random(300) < truth).astype(float)
        interval = mean_with_interval(correct, resamples=200, confidence=confidence, seed=trial)
        covered += interval["low"] <= truth <= interval["high"]
    # Four standard errors of the observed coverage.
    assert covered / trials == pytest.approx(confidence, abs=4 * np.sqrt(confidence * (1 - confidence) / trials))


def test_undefined_resamples_do_not_count() -> None:
    draws = np.array([0.1, np.nan, 0.2, 0.3])
    assert percentile_interval(0.2, draws, 0.9) == percentile_interval(0.2, draws[[0, 2, 3]], 0.9)


def test_a_reflected_interval_undoes_an_upward_bias_and_stays_above_zero() -> None:
    draws = np.linspace(0.02, 0.08, 1_001)
    assert reflected_interval(0.03, draws, 0.95)["low"] == 0.0
    assert reflected_interval(0.06, draws, 0.95) == pytest.approx({"value": 0.06, "low": 0.0415, "high": 0.0985})


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    interval = share_with_interval(hits=10, rows=20, confidence=0.95)
    assert interval == pytest.approx({"value": 0.5, "low": 0.299, "high": 0.701}, abs=1e-3)


def test_a_share_of_one_keeps_an_interval() -> None:
    interval = share_with_interval(hits=5, rows=5, confidence=0.95)
    assert interval["low"] == pytest.approx(0.5655, abs=1e-3)
    assert interval["high"] == pytest.approx(1.0)
