"""Only what is served as it was evaluated gets an alias, and nothing is registered twice."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.contract.registration import RegistrySettings
from tasks.errors import IntegrityError, ServiceError
from tasks.kinds.classify.classifier import TextClassifier
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.kinds.classify.register import REGISTRATION
from tasks.promotion import named_models
from tasks.register import describe, flatten, register
from tasks.registry import registered_model, registrations
from tasks.registry.proving import sample_rows
from tasks.store import artefacts
from tasks.tracking import mlflow_client, recording
from tasks.tracking.runs import RunContext

if TYPE_CHECKING:
    from mlflow.entities import Run

RUN = RunContext(recipe="reviews", flow_run_id="flow-1", flow_run_name="amber-fox")
SETTINGS = RegistrySettings(certificate_rows=8)


@pytest.fixture
def registered(mlflow_store, reviews):
    return register.fn(CLASSIFY, RUN, *reviews, SETTINGS)


@pytest.fixture
def registration(registered_home, monkeypatch):
    monkeypatch.setenv("RNNFLOW_HOME", str(registered_home))
    [path] = registered_home.glob("data/register/*/registration.json")
    return json.loads(path.read_bytes())


def test_the_best_on_validation_is_registered(registration, reviews):
    assert (registration["name"], registration["version"]) == ("reviews", "1")
    assert registration["best"] == reviews[1].best.name
    assert registration["model_uri"] == "models:/reviews/1"
    assert registration["baseline_wins"] is True


def test_the_served_model_repeats_the_evaluation_bit_for_bit(registration):
    smoke = registration["smoke"]

    assert smoke["bitwise"] is True
    assert smoke["deviations"]["logits"] == 0.0
    assert smoke["deviations"]["probabilities"] < 1e-6
    assert smoke["rows"] >= 20


def test_the_run_of_the_flow_leads_to_the_version_and_the_run_of_its_fit_to_the_model(registration):
    client = mlflow_client.connect()
    version = client.get_model_version("reviews", registration["version"])
    runs = [client.get_run(version.run_id), find_run_of_best(registration)]

    [of_flow, of_fit] = [[output.model_id for output in run.outputs.model_outputs] for run in runs]
    assert version.run_id == registration["mlflow_run"]
    assert of_flow == of_fit != []


def find_run_of_best(registration: dict) -> "Run":
    client = mlflow_client.connect()
    parent = client.get_run(registration["mlflow_run"])
    named = f"attributes.run_name = '{registration['best']}'"
    [run] = client.search_runs([parent.info.experiment_id], named)
    return run


def test_the_certificate_is_recorded_with_the_model(registration):
    run = find_run_of_best(registration)

    assert registration["certificate"]["passed"] is True
    assert run.data.metrics["invariance/padding_length"] == registration["certificate"]["deviations"]["padding_length"]
    assert {file.path for file in mlflow_client.connect().list_artifacts(run.info.run_id)} == {"certificate.json"}


def test_every_model_has_a_child_run_with_its_metrics_and_its_data(registration, reviews):
    client = mlflow_client.connect()
    parent = client.get_run(registration["mlflow_run"])
    children = client.search_runs([parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")

    assert {child.info.status for child in children} == {"FINISHED"}
    assert {child.info.run_name: child.data.metrics["test/accuracy_low"] for child in children} == {
        scored.name: scored.metrics["test/accuracy_low"] for scored in reviews[1].everyone
    }
    for child in children:
        assert {logged.dataset.name for logged in child.inputs.dataset_inputs} == {"splits", "shards"}


def test_the_flow_run_names_its_data_its_seeds_and_its_version(registration, reviews):
    lineage, _ = reviews
    parent = mlflow_client.connect().get_run(registration["mlflow_run"])
    [listed] = recording.list_runs()

    datasets = {logged.dataset.name: logged.dataset.digest for logged in parent.inputs.dataset_inputs}
    assert datasets == {name: one.digest[:36] for name, one in lineage.by_name().items()}
    assert parent.data.tags["rnnflow.data"] == lineage.rows.digest
    assert parent.data.params["split.seed"] == "7"
    assert (listed.version, listed.status) == ("reviews/1", "FINISHED")


def test_nothing_is_written_outside_the_project(registration, registered_home):
    assert sorted(path.name for path in registered_home.iterdir()) == ["data", "mlruns"]
    assert not Path("mlflow.db").exists()


def test_the_same_models_are_registered_once(registered, reviews):
    cached = register.fn(CLASSIFY, RunContext(recipe="reviews", flow_run_id="flow-2"), *reviews, SETTINGS)
    with artefacts.refreshing(True):
        repeated = register.fn(CLASSIFY, RUN, *reviews, SETTINGS)

    assert (cached.cached, cached.key) == (True, registered.key)
    assert (repeated.cached, repeated.summary["version"]) == (False, "1")
    assert len(mlflow_client.connect().search_model_versions("name = 'reviews'")) == 1
    assert len(recording.list_runs()) == 1


def test_a_registration_whose_model_was_deleted_is_made_again(registered, reviews):
    shutil.rmtree(mlflow_client.artifacts_folder() / "reviews" / "models")
    assert not registered_model.holds_artifact(registered.summary["artifact_uri"])

    again = register.fn(CLASSIFY, RUN, *reviews, SETTINGS)

    assert not again.cached
    assert named_models.resolve_model(f"reviews/{again.summary['version']}").folder.is_dir()


@pytest.mark.parametrize("deleted", ["version", "model"])
def test_a_registration_that_was_deleted_in_mlflow_is_made_again_with_the_same_content(registered, reviews, deleted):
    if deleted == "version":
        mlflow_client.connect().delete_model_version("reviews", "1")
    else:
        mlflow_client.connect().delete_registered_model("reviews")

    again = register.fn(CLASSIFY, RUN, *reviews, SETTINGS)

    assert not again.cached
    assert registrations.read_versions("reviews").keys() == {again.summary["version"]}
    assert again.summary["content"] == registered.summary["content"]


def test_a_second_model_becomes_a_version_without_an_alias(registered, reviews):
    lineage, contest = reviews
    worse = dataclasses.replace(contest, candidates=contest.candidates[1:])

    second = register.fn(CLASSIFY, RunContext(recipe="reviews", flow_run_id="flow-2"), lineage, worse, SETTINGS)

    assert second.summary["version"] == "2"
    assert named_models.resolve_model("reviews/2").version == "2"
    assert registrations.read_aliases("reviews") == {}


def test_the_same_rows_read_with_other_settings_become_a_version_that_reads_so(registered, reviews, tmp_path):
    lineage, contest = reviews
    folder = shutil.copytree(lineage.rows.path, tmp_path / "rows")
    manifest = json.loads((folder / artefacts.MANIFEST).read_bytes())
    manifest["config"] |= {"path": "elsewhere.csv", "encoding": "utf-16"}
    (folder / artefacts.MANIFEST).write_text(json.dumps(manifest))
    read_otherwise = dataclasses.replace(lineage, rows=dataclasses.replace(lineage.rows, path=folder))

    second = register.fn(CLASSIFY, RUN, read_otherwise, contest, SETTINGS)

    assert second.summary["version"] == "2"
    parts = named_models.resolve_model("reviews/2").parts
    assert TextClassifier.load(parts).serving.source["encoding"] == "utf-16"


def test_a_model_that_reads_texts_otherwise_gets_no_alias(mlflow_store, reviews, monkeypatch):
    load = TextClassifier.load.__func__

    def skewed(cls, folder):
        classifier = load(cls, folder)
        return dataclasses.replace(classifier, serving=dataclasses.replace(classifier.serving, max_length=3))

    monkeypatch.setattr(TextClassifier, "load", classmethod(skewed))

    with pytest.raises(IntegrityError, match=r"E-REG-005 row [0-9]+: the served model encodes it differently"):
        register.fn(CLASSIFY, RUN, *reviews, SETTINGS)

    assert mlflow_client.connect().get_registered_model("reviews").aliases == {}


def test_a_model_with_other_weights_gets_no_alias(mlflow_store, reviews, monkeypatch):
    load = TextClassifier.load.__func__

    def changed(cls, folder):
        classifier = load(cls, folder)
        next(classifier.model.parameters()).data.add_(0.01)
        return classifier

    monkeypatch.setattr(TextClassifier, "load", classmethod(changed))

    with pytest.raises(IntegrityError, match="E-REG-006 the registered model's logits differ"):
        register.fn(CLASSIFY, RUN, *reviews, SETTINGS)

    assert mlflow_client.connect().get_registered_model("reviews").aliases == {}


def test_nested_settings_become_dotted_names():
    assert flatten({"name": "a", "training": {"seed": 1}}) == {"name": "a", "training.seed": 1}


def test_sampled_rows_are_spread_over_the_split(reviews):
    path = reviews[0].splits.file("valid.parquet")

    assert sample_rows(path, 8)["row"].to_list() == [160 + 5 * index for index in range(8)]
    assert sample_rows(path, 1000).height == 40


def test_the_description_says_how_to_load_the_model(reviews):
    lines = describe(reviews[1], REGISTRATION, REGISTRATION.choose_packaging(reviews[0]), "reviews").splitlines()

    assert lines[2:] == [
        "Set MLFLOW_TRACKING_URI to the address that `rnnflow up` prints, then run:",
        "",
        "    import mlflow",
        "",
        '    model = mlflow.pyfunc.load_model("models:/reviews@champion")',
        '    model.predict(["One of the best films of the year."])',
    ]


def test_a_dead_server_leaves_the_fits_and_says_so(reviews, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("RNNFLOW_MLFLOW_WAIT_S", "0.5")

    with pytest.raises(ServiceError, match="E-SVC-004"):
        register.fn(CLASSIFY, RUN, *reviews, SETTINGS)
