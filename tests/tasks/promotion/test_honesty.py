"""The gate in the long run: equal models rarely pass, decay never does, better ones mostly do."""

import statistics

import pytest

from benchmarks.simulated_retraining import live_often, most_false_promotions, promoted_share
from tasks.labelled.promotion import PromotionSettings

pytestmark = pytest.mark.costly

SETTINGS = PromotionSettings()


def test_of_a_thousand_equal_challengers_at_most_alpha_are_promoted():
    careers = list(live_often([0.9, 0.9], times=1000, num_rows=1000, settings=SETTINGS))

    # 5 % of 1000 and three standard deviations.
    assert sum(career.promotions for career in careers) <= 50 + 3 * 6.9
    assert 0.04 < statistics.mean(career.disagreement for career in careers) < 0.09


def test_a_year_of_equal_challengers_on_the_same_rows_makes_few_promotions():
    careers = list(live_often([0.9] * 53, times=20, num_rows=1000, settings=SETTINGS))

    bound = most_false_promotions(SETTINGS.alpha, 52)
    assert statistics.mean(career.promotions for career in careers) <= bound + 3 * (bound / 20) ** 0.5


def test_decay_of_0_3_points_per_retrain_loses_next_to_nothing():
    decaying = [0.9 - 0.003 * retrain for retrain in range(21)]

    careers = list(live_often(decaying, times=30, num_rows=2500, settings=SETTINGS))

    assert sum(career.lost for career in careers) <= 3
    assert statistics.mean(career.first_accuracy - career.last_accuracy for career in careers) < 0.001
    assert careers[0].newest_accuracy == pytest.approx(0.84)


def test_without_a_test_the_same_decay_would_get_through():
    careless = SETTINGS.model_copy(
        update={"alpha": 60.0, "max_slice_drop": 1.0, "min_effect": -1.0, "anchor_tolerance": 1.0}
    )
    decaying = [0.9 - 0.003 * retrain for retrain in range(21)]

    careers = list(live_often(decaying, times=5, num_rows=2500, settings=careless))

    assert all(career.lost for career in careers)


def test_a_challenger_better_by_two_points_is_mostly_promoted():
    assert promoted_share(0.02, times=100, num_rows=2500, settings=SETTINGS) >= 0.9
