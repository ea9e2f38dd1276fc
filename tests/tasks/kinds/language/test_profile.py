"""What texts look like to a language model is counted, and a change of language or topic is drift."""

import numpy as np
import polars as pl

from tasks.contract.profile import Profile
from tasks.kinds.language.profile import WATCH, profile_texts
from tasks.monitoring.drift import compare_profiles


def profile_of(
    num_texts: int, *, nats_per_char: float = 1.5, unknown: int = 0, length: int = 200, seed: int = 1
) -> Profile:
    generator = np.random.default_rng(seed)
    num_chars = generator.integers(length // 2, 2 * length, num_texts)
    ids = [np.concatenate([np.ones(unknown, np.int64), np.full(size - unknown, 7)]) for size in num_chars]
    nats = num_chars * generator.normal(nats_per_char, 0.1, num_texts)
    return profile_texts(ids, pl.DataFrame({"num_chars": num_chars, "nats": nats}))


def drifted(reference: Profile, seen: Profile) -> list[str]:
    compared = compare_profiles(reference, seen, watch=WATCH, min_rows=WATCH.min_rows, psi_limit=0.2)
    return [one.describe() for one in compared if one.drifted]


def test_texts_like_those_of_validation_are_no_drift():
    assert drifted(profile_of(600), profile_of(400, seed=2)) == []


def test_text_that_costs_more_or_is_unknown_or_longer_is_drift():
    reference = profile_of(600)

    (dearer,) = drifted(reference, profile_of(400, nats_per_char=2.1))
    (unknown,) = drifted(reference, profile_of(400, unknown=20))
    (longer,) = drifted(reference, profile_of(400, length=900))

    assert dearer == "mean nats per character from 1.50 to 2.10"
    assert unknown.startswith("share of unknown tokens from 0.0% to ")
    assert longer.startswith("mean length in characters from ")


def test_text_that_costs_less_is_no_alarm():
    assert drifted(profile_of(600), profile_of(400, nats_per_char=1.1)) == []


def test_empty_texts_are_not_counted():
    scored = pl.DataFrame({"num_chars": [0, 3], "nats": [0.0, 4.5]})

    profile = profile_texts([np.array([], np.int64), np.array([2, 1, 3])], scored)

    assert profile.rows == 1
    assert WATCH.features["nats_per_char"].mean(profile.histograms["nats_per_char"]) == 1.4875
    assert profile_texts([], scored.clear()) == Profile.empty()
