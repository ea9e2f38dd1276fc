"""A registered model is watched through what its predictions recorded."""

import dataclasses
import json
import random
import shutil

import pytest

from rnnmodels.durable import sha256_of_file
from tasks.contract.profile import Profile
from tasks.errors import InputError, IntegrityError
from tasks.kinds.classify.classifier import TextClassifier
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.monitoring import examination
from tasks.monitoring.examination import examine_drift
from tasks.monitoring.seen import record_seen
from tasks.promotion import named_models
from tasks.registry.served_parts import SERVING

WORDS = {"neg": ["dull", "boring", "flat", "bad", "weak"], "pos": ["great", "moving", "bright", "good", "strong"]}
FILLERS = ["the", "film", "was", "a", "story", "of", "people", "in", "some", "town"]
SETTINGS = {"window_days": 30, "min_rows": 500, "psi_limit": 0.2}


@pytest.fixture
def registered(project, registered_home, monkeypatch):
    """The registered model in a project of its own, as resolving its name finds it."""
    shutil.copytree(registered_home / "mlruns", project / "mlruns")
    return named_models.resolve_model("reviews/1")


def generated_texts(num_rows, *, longest=30, unknown=False, positive=0.5):
    draw = random.Random(2)
    fillers = [f"{word}ix" for word in FILLERS] if unknown else FILLERS
    labels = ["pos" if draw.random() < positive else "neg" for _ in range(num_rows)]
    return [" ".join(draw.choices(WORDS[one] + fillers, k=draw.randint(2, longest))) for one in labels], labels


def show_texts(registered, texts, labels=None, *, batch="a"):
    classifier = TextClassifier.load(registered.parts)
    read = classifier.read(texts)
    profile = classifier.profile(read, classifier.score(read), labels)
    record_seen(registered.label, profile, source="predict", batch=batch)


def features(report):
    return {one.feature: one for one in report.comparisons}


def test_texts_like_the_validation_rows_raise_no_alarm(registered):
    show_texts(registered, *generated_texts(600))

    report = examine_drift("reviews/1", **SETTINGS)

    assert (report.status, report.moved, report.rows, report.labelled_rows) == ("stable", (), 600, 600)
    assert report.sentence == "reviews/1 saw 600 rows in 30 days: they resemble its validation rows, within the limits."
    assert len(report.table()) == 6


def test_unknown_words_are_found(registered):
    show_texts(registered, generated_texts(600, unknown=True)[0])

    report = examine_drift("reviews/1", **SETTINGS)

    assert report.status == "drifted"
    assert features(report)["oov_share"].drifted
    assert not features(report)["length"].drifted
    assert "share of unknown tokens from 0.0% to 6" in report.sentence


def test_longer_texts_are_found(registered):
    show_texts(registered, generated_texts(600, longest=90)[0])

    report = examine_drift("reviews/1", **SETTINGS)

    assert features(report)["length"].drifted
    assert not features(report)["oov_share"].drifted


def test_another_mix_of_labels_is_found(registered):
    show_texts(registered, *generated_texts(600, positive=0.95))

    report = examine_drift("reviews/1", **SETTINGS)

    assert features(report)["true"].drifted
    assert not {"length", "oov_share"} & {one.feature for one in report.moved}


def test_the_report_is_json_with_the_finding_first(registered):
    show_texts(registered, generated_texts(600, unknown=True)[0])

    fields = json.loads(json.dumps(examine_drift("reviews/1", **SETTINGS).as_json(), allow_nan=False))

    assert list(fields)[:4] == ["model", "status", "drifted", "sentence"]
    assert (fields["model"], fields["status"], fields["drifted"]) == ("reviews/1", "drifted", True)
    assert {one["feature"] for one in fields["comparisons"]} == {"length", "oov_share", "confidence", "predicted"}


@pytest.mark.parametrize("num_rows", [0, 499])
def test_few_rows_are_not_judged(registered, num_rows):
    show_texts(registered, generated_texts(num_rows, unknown=True)[0])

    report = examine_drift("reviews/1", **SETTINGS)

    assert (report.status, report.comparisons, report.table()) == ("too few rows", (), [])
    assert report.sentence == (f"reviews/1 saw {num_rows} rows in 30 days: too few to judge, at least 500 are needed.")


@pytest.fixture
def older(registered, monkeypatch):
    """The model as it would be without a profile."""
    path = registered.parts / SERVING
    fields = json.loads(path.read_bytes())
    assert (fields["format"], fields["sha256"].pop("profile.json")) == (
        3,
        sha256_of_file(path.with_name("profile.json")),
    )
    path.write_text(json.dumps(fields))
    path.with_name("profile.json").unlink()
    monkeypatch.setattr(examination.named_models, "resolve_model", lambda _: registered)
    return registered


def test_a_model_without_a_reference_predicts_and_the_monitor_says_how_to_get_one(older):
    assert TextClassifier.load(older.parts).predict_probabilities(["great"]).shape == (1, 2)

    with pytest.raises(InputError) as caught:
        examine_drift("reviews", **SETTINGS)

    assert str(caught.value) == (
        "E-MON-001 model reviews/1 was registered without a profile of its validation rows, or by a "
        "release with another format of profiles.\nFix: train it again; what it receives is counted from then on."
    )


def test_a_reference_of_next_to_nothing_is_none(registered, monkeypatch):
    monkeypatch.setattr(examination, "read_profile", lambda _: Profile(rows=4))

    with pytest.raises(InputError, match=r"E-MON-001 the validation rows of model reviews/1 are 4 rows, too few"):
        examine_drift("reviews/1", **SETTINGS)


def test_a_kind_that_watches_nothing_says_so(registered, monkeypatch):
    monkeypatch.setattr(examination, "kind_of_model", lambda _: dataclasses.replace(CLASSIFY, monitor=None))

    with pytest.raises(InputError, match=r"E-MON-001 model reviews/1 is of kind classify, which defines nothing to m"):
        examine_drift("reviews/1", **SETTINGS)


def test_a_changed_reference_is_refused(registered):
    path = registered.parts / "profile.json"
    path.write_text(path.read_text().replace('"hits":', '"hits":1'))

    with pytest.raises(IntegrityError, match=r"E-INT-001 .*profile\.json: is not the file that was registered"):
        examine_drift("reviews/1", **SETTINGS)
