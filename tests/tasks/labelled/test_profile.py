"""Profiles count rows, add up in any order, and say the same whether texts come from a stage or from a user."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contract.profile import UNLISTED, Profile, read_profile
from tasks.kinds.classify.classifier import TextClassifier
from tasks.kinds.classify_series.profile import WATCH as SEQUENCES
from tasks.labelled.profile import WATCH, profile_rows
from tasks.labelled.truncation import truncated
from tasks.panel.profile import WATCH as SERIES
from tasks.promotion import named_models

LABELS = ("neg", "pos")


@st.composite
def profiles(draw):
    num_rows = draw(st.integers(0, 8))
    column = lambda values: draw(st.lists(values, min_size=num_rows, max_size=num_rows))  # noqa: E731
    top = np.array(column(st.floats(0.5, 1)))
    return profile_rows(
        {
            "length": np.array(column(st.integers(1, 2_000_000)), dtype=np.int64),
            "oov_share": np.array(column(st.floats(0, 1))),
        },
        probabilities=np.column_stack([top, 1 - top]),
        labels=LABELS,
        true_labels=column(st.sampled_from([None, "neg", "pos", "new"])),
    )


@given(profiles(), profiles(), profiles())
def test_profiles_add_up_in_any_order(a, b, c):
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + Profile.empty() == a
    assert (a + b).rows == a.rows + b.rows


@given(profiles())
def test_a_profile_survives_json(profile):
    text = json.dumps(profile.as_json(), allow_nan=False)

    assert Profile.from_json(json.loads(text)) == profile
    assert len(text) < 3_000


@given(profiles())
def test_every_row_falls_in_one_bin_of_each_feature(profile):
    assert all(sum(counts) == profile.rows for counts in profile.histograms.values())
    assert profile.histograms.keys() == (WATCH.features.keys() if profile.rows else set())


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"hits": None},
        {"predicted": 3},
        {"histograms": {"length": 3}},
        {"stretch": ["a"]},
    ],
)
def test_what_is_no_profile_is_refused(change):
    with pytest.raises((ValueError, KeyError, TypeError)):
        Profile.from_json(Profile.empty().as_json() | change)


def test_predictions_labels_and_hits_are_counted():
    profile = profile_rows(
        {"length": np.array([3, 3, 40, 5]), "oov_share": np.array([0, 0.5, 0, 1])},
        probabilities=np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]]),
        labels=LABELS,
        true_labels=["neg", "neg", None, "odd"],
    )

    assert (profile.predicted, profile.true, profile.hits) == ({"neg": 2, "pos": 2}, {"neg": 2, UNLISTED: 1}, 1)
    assert (profile.rows, profile.labelled_rows) == (4, 3)
    assert WATCH.features["oov_share"].mean(profile.histograms["oov_share"]) == pytest.approx(0.375, abs=0.005)
    assert WATCH.features["confidence"].mean(profile.histograms["confidence"]) == pytest.approx(0.75, abs=0.01)


def test_bins_tell_short_lengths_apart_and_no_unknown_token_from_few():
    assert [WATCH.features["length"].count(np.array([length])).index(1) for length in range(1, 14)] == list(range(13))
    assert [WATCH.features["length"].mean(WATCH.features["length"].count(np.array([length]))) for length in (1, 7)] == [
        1,
        7,
    ]
    assert WATCH.features["oov_share"].count(np.array([0.0, 0.001, 1.0]))[:2] == (1, 1)


def test_values_beyond_the_bounds_are_counted_at_the_ends():
    counts = WATCH.features["length"].count(np.array([0, 10_000_000]))

    assert (counts[0], counts[-1], sum(counts)) == (1, 1, 2)


@pytest.mark.parametrize("feature", [*WATCH.features.values(), *SEQUENCES.features.values(), *SERIES.features.values()])
def test_bounds_ascend(feature):
    assert (np.diff(feature.bounds) >= 0).all()
    assert (np.diff(feature.bounds[1:]) > 0).all()


def test_the_module_needs_numpy_alone():
    code = (
        "import tasks.labelled.profile, sys; print(sorted({'prefect', 'mlflow', 'torch', 'polars'} & set(sys.modules)))"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "[]"


@pytest.fixture
def folder(registered_home, monkeypatch):
    monkeypatch.setenv("RNNFLOW_HOME", str(registered_home))
    return named_models.resolve_model("reviews/1").parts


@pytest.fixture
def classifier(folder):
    return TextClassifier.load(folder)


def validation_rows(reviews):
    return pl.read_parquet(reviews[0].splits.file("valid.parquet"))


def test_reading_a_text_tells_what_truncation_would_hide(classifier):
    reading = classifier.read(["great film", "zzzz great qqqq film", "great film " * 30, ""])

    assert reading.values["length"].tolist() == [2, 4, 60, 1]
    assert reading.values["oov_share"].tolist() == [0, 0.5, 0, 1]
    assert [len(sequence) for sequence in reading.sequences] == [2, 4, 20, 1]
    assert len(reading) == 4


@pytest.mark.parametrize("keep", ["head", "tail", "both"])
def test_what_is_read_is_cut_as_in_training(classifier, reviews, keep):
    serving = dataclasses.replace(classifier.serving, keep=keep, max_length=7)
    rows = validation_rows(reviews)

    reading = dataclasses.replace(classifier, serving=serving).read(rows["text"].to_list())

    ids = classifier.vocabulary.ids_of_text(pl.col("text"))
    expected = rows.select(truncated(ids, max_length=7, keep=keep)).to_series().to_list()
    assert [sequence.tolist() for sequence in reading.sequences] == expected
    assert max(map(len, expected)) == 7


def test_scoring_a_reading_is_predicting_its_texts(classifier):
    texts = ["a great and moving film", "dull, boring and flat"]

    np.testing.assert_array_equal(classifier.score(classifier.read(texts)), classifier.predict_probabilities(texts))


def test_nothing_read_is_an_empty_profile(classifier):
    reading = classifier.read([])

    assert classifier.score(reading).shape == (0, 2)
    assert classifier.profile(reading, classifier.score(reading), []) == Profile.empty()


def test_the_reference_is_what_the_served_model_sees_in_the_validation_rows(folder, classifier, reviews):
    rows = validation_rows(reviews)
    reading = classifier.read(rows["text"].to_list())
    seen = classifier.profile(reading, classifier.score(reading), rows["label"].to_list())

    reference = read_profile(folder)

    assert reference.rows == reference.labelled_rows == rows.height == 40
    for feature in ("length", "oov_share"):
        assert reference.histograms[feature] == seen.histograms[feature]
    assert (reference.predicted, reference.true, reference.hits) == (seen.predicted, seen.true, seen.hits)
    # Batched otherwise, a probability may be rounded across a bound.
    gaps = np.cumsum(reference.histograms["confidence"]) - np.cumsum(seen.histograms["confidence"])
    assert np.abs(gaps).max() <= 1
