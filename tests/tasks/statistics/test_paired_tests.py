"""Chances are what textbooks say, and luck is taken for luck as often as promised."""

import numpy as np
import pytest
from scipy import stats

from tasks.promotion.wear import alpha_of_decision
from tasks.statistics.paired_tests import bootstrap_p_value, mcnemar_p_value


@pytest.mark.parametrize(("won", "lost", "p"), [(0, 0, 1.0), (5, 0, 1 / 32), (0, 5, 1.0), (1, 1, 0.75), (2, 1, 0.5)])
def test_mcnemar_counts_coin_tosses(won, lost, p):
    assert mcnemar_p_value(won, lost) == pytest.approx(p)


def test_mcnemar_agrees_with_the_exact_binomial_test():
    assert mcnemar_p_value(61, 56) == pytest.approx(stats.binomtest(61, 117, alternative="greater").pvalue)


def test_the_bootstrap_agrees_with_the_t_test_where_that_one_is_exact():
    gains = np.random.default_rng(1).normal(0.03, 1, 2000)

    p_value = bootstrap_p_value(gains, resamples=20_000, seed=1)

    assert p_value == pytest.approx(stats.ttest_1samp(gains, 0, alternative="greater").pvalue, abs=0.01)


def test_the_bootstrap_promotes_skewed_null_gains_no_more_often_than_alpha():
    # Few rows gain much and many lose little, as in log loss; the mean is 0.
    draws = np.random.default_rng(2).exponential(size=(400, 300)) - 1

    p_values = [bootstrap_p_value(gains, resamples=1000, seed=seed) for seed, gains in enumerate(draws)]

    # 3 standard deviations above 5 % of 400.
    assert sum(p <= 0.05 for p in p_values) <= 33


@pytest.mark.parametrize(("gain", "p"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 1 / 1001)])
def test_gains_that_are_all_alike_leave_nothing_to_chance(gain, p):
    assert bootstrap_p_value(np.full(50, gain), resamples=1000, seed=1) == pytest.approx(p)


def test_alpha_shrinks_so_that_a_year_of_weekly_decisions_errs_less_than_once_in_four():
    assert [alpha_of_decision(0.05, number) for number in (1, 2, 4)] == [0.05, 0.025, 0.0125]
    assert sum(alpha_of_decision(0.05, number) for number in range(1, 53)) == pytest.approx(0.227, abs=0.001)
