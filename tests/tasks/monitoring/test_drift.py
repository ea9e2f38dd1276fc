"""Each planted shift is found by its own feature, and equal draws raise an alarm at most one time in a hundred."""

import dataclasses
import re

import numpy as np
import pytest
from scipy import stats

from tasks.contract.profile import UNLISTED, Profile
from tasks.labelled.profile import WATCH, profile_rows
from tasks.monitoring.drift import (
    ALPHA,
    LEAST_EXPECTED,
    MAX_GROUPS,
    compare_accuracy,
    compare_profiles,
    group_bins,
    group_labels,
    largest_gap,
    population_stability,
)

LABELS = ("neg", "pos")


def drawn(
    num_rows: int, seed: int, *, longer: float = 1, unknown: float = 0.02, surer: float = 6, positive: float = 0.5
):
    """Draw rows of which each feature has its own knob; one answer in ten is wrong."""
    rng = np.random.default_rng(seed)
    length = np.maximum(1, np.round(longer * rng.lognormal(5, 0.6, num_rows))).astype(np.int64)
    confidence = 0.5 + rng.beta(surer, 1, num_rows) / 2
    true = rng.random(num_rows) < positive
    guess = true ^ (rng.random(num_rows) < 0.1)
    return profile_rows(
        {"length": length, "oov_share": rng.binomial(100, unknown, num_rows) / 100},
        probabilities=np.where(guess[:, None] == np.array([False, True]), confidence[:, None], 1 - confidence[:, None]),
        labels=LABELS,
        true_labels=np.where(true, "pos", "neg").tolist(),
    )


def compare(reference: Profile, seen: Profile, *, min_rows: int = 500, psi_limit: float = 0.2):
    return {
        one.feature: one
        for one in compare_profiles(reference, seen, watch=WATCH, min_rows=min_rows, psi_limit=psi_limit)
    }


@pytest.mark.parametrize(
    ("shift", "moved", "said"),
    [
        ({}, set(), ""),
        ({"longer": 2}, {"length"}, r"mean length in tokens from 17\d\.\d to 3[45]\d\.\d"),
        ({"unknown": 0.08}, {"oov_share"}, r"share of unknown tokens from 1\.\d% to 7\.\d%"),
        ({"surer": 2}, {"confidence"}, r"mean confidence from 92\.\d% to 8[23]\.\d%"),
        (
            {"positive": 0.8},
            {"predicted", "true"},
            r'share of (predicted )?label "(pos|neg)" from (49|50)\.\d% to (7|8|2|1)\d\.\d%',
        ),
    ],
)
def test_a_planted_shift_raises_its_own_feature_and_no_other(shift, moved, said):
    found = compare(drawn(2500, 1), drawn(2000, 2, **shift))

    assert {feature for feature, one in found.items() if one.drifted} == moved
    assert all(one.psi < 0.05 for one in found.values() if one.psi is not None and not one.drifted)
    assert all(re.fullmatch(said, one.describe()) for one in found.values() if one.drifted)


@pytest.mark.parametrize(("num_reference", "num_seen", "trials"), [(400, 500, 600), (40, 50, 600)])
def test_equal_draws_exceed_chance_at_most_one_time_in_a_hundred(num_reference, num_seen, trials):
    alarms = psi = expected = 0
    for trial in range(trials):
        found = compare(drawn(num_reference, trial), drawn(num_seen, trials + trial), min_rows=50, psi_limit=1e-9)
        alarms += any(one.drifted for one in found.values())
        psi += found["predicted"].psi / trials
        expected += (1 / num_reference + 1 / num_seen) / trials

    three_standard_errors = 3 * np.sqrt(trials * ALPHA)
    assert alarms <= ALPHA * trials + three_standard_errors
    assert psi == pytest.approx(expected, rel=0.2)


def test_the_usual_limit_alone_would_alarm_on_chance():
    few = [compare(drawn(40, trial), drawn(50, 1000 + trial), min_rows=50) for trial in range(50)]

    assert sum(found["length"].psi > 0.2 for found in few) > 10
    assert sum(found["length"].drifted for found in few) == 0


def test_a_small_shift_that_is_no_chance_stays_below_the_limit():
    found = compare(drawn(50_000, 1), drawn(50_000, 2, longer=1.1))["length"]

    assert found.chance < found.psi < 0.2
    assert not found.drifted


def test_too_few_rows_are_not_judged_and_too_few_labels_neither():
    unlabelled = dataclasses.replace(drawn(600, 2), true={"neg": 499}, hits=0)

    assert compare(drawn(400, 1), drawn(499, 2, longer=4)) == {}
    assert set(compare(drawn(400, 1), unlabelled)) == {"length", "oov_share", "confidence", "predicted"}
    assert compare_profiles(drawn(400, 1), Profile.empty(), watch=WATCH, min_rows=0, psi_limit=0.2) == []


@pytest.mark.parametrize(
    ("hits", "rows", "drifted"),
    [(900, 1000, False), (880, 1000, False), (855, 1000, True), (8_850, 10_000, False), (980, 1000, False)],
)
def test_accuracy_must_fall_by_more_than_chance_and_by_more_than_selection_flatters(hits, rows, drifted):
    reference = dataclasses.replace(drawn(10, 1), true={"neg": 10_000}, hits=9_000)
    seen = dataclasses.replace(drawn(10, 1), true={"neg": rows}, hits=hits)

    compared = compare_accuracy(reference, seen, alpha=ALPHA / 6)

    assert compared.drifted is drifted
    assert (compared.before, compared.now) == (0.9, hits / rows)


@pytest.mark.parametrize("seed", range(20))
def test_groups_hold_enough_reference_rows_and_keep_their_order(seed):
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(int(rng.integers(10, 3000)), rng.dirichlet(np.full(60, 0.1)))

    group = group_bins(counts)

    filled = np.bincount(group, counts)
    assert (np.diff(group) >= 0).all()
    assert len(filled) <= MAX_GROUPS or len(filled) == 3
    assert filled.min() >= LEAST_EXPECTED or counts.max() > counts.sum() - LEAST_EXPECTED - counts.sum() / MAX_GROUPS


def test_groups_are_about_equal_where_the_data_allow_it():
    assert np.bincount(group_bins(np.full(100, 7)), np.full(100, 7)).tolist() == [70] * 10


def test_a_reference_of_one_value_still_shows_what_lies_beside_it():
    reference = drawn(1000, 1, unknown=0)
    assert reference.histograms["oov_share"][0] == 1000

    same = compare(reference, drawn(1000, 2, unknown=0))["oov_share"]
    foreign = compare(reference, drawn(1000, 3, unknown=0.9))["oov_share"]

    assert (same.psi, same.drifted) == (0, False)
    assert foreign.drifted
    assert foreign.describe() == "share of unknown tokens from 0.0% to 89.9%"


def test_rare_and_unlisted_labels_share_a_group():
    labels, reference, seen = group_labels({"a": 90, "b": 4, "c": 60}, {"a": 10, UNLISTED: 50, "d": 1})

    assert labels == ["a", "c", "other"]
    assert reference.tolist() == [90, 60, 4]
    assert seen.tolist() == [10, 0, 51]


def test_the_limit_of_chance_is_the_quantile_of_chi_square():
    _, chance = population_stability(np.full(5, 100), np.full(5, 50), alpha=0.002)
    _, of_dependent = population_stability(np.full(5, 100), np.full(5, 50), alpha=0.002, dependence=5)

    assert chance == pytest.approx(stats.chi2.isf(0.002, 4) * (1 / 500 + 1 / 250))
    assert of_dependent == pytest.approx(stats.chi2.isf(0.002, 4) * (1 / 100 + 1 / 50))


def test_the_index_and_the_distance_of_a_known_pair():
    reference, seen = np.array([5000, 5000]), np.array([8000, 2000])

    psi, _ = population_stability(reference, seen, alpha=0.002)

    assert psi == pytest.approx(0.3 * np.log(1.6) + 0.3 * np.log(2.5), rel=1e-3)
    assert largest_gap(reference, seen) == pytest.approx(0.3)


def test_every_compared_feature_has_words():
    found = compare(drawn(500, 1), drawn(500, 2))

    assert list(found) == [*WATCH.features, "predicted", "true", "accuracy"]
    assert all(one.describe() for one in found.values())
