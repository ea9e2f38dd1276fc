"""What is recorded can be recorded again, and never holds what MLflow would distort."""

import math
import time

from tasks.store.artefacts import build
from tasks.store.manifest import Summary
from tasks.tracking import mlflow_client, outbox, recording, runs
from tasks.tracking.recording import CandidateRecord
from tasks.tracking.runs import RunContext

REVIEWS = RunContext(recipe="reviews", flow_run_id="flow-1", flow_run_name="amber-fox")
GRU = CandidateRecord(
    name="gru-96",
    params={"model.cell": "gru", "training.epochs": 2},
    history=[{"epoch": 1, "train_loss": 0.7, "valid_loss": 0.6}, {"epoch": 2, "train_loss": 0.5, "valid_loss": 0.4}],
    metrics={"test/accuracy": 0.9, "test/accuracy_low": 0.88, "test/accuracy_high": 0.92},
    tags={"rnnflow.code": "abc"},
)


def curve(run_id: str, name: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in mlflow_client.connect().get_metric_history(run_id, name))


def test_a_candidate_is_recorded_in_a_child_run_that_ends(mlflow_store):
    parent = runs.open_run(REVIEWS)

    child = mlflow_client.connect().get_run(recording.record_candidate(parent, GRU))

    assert child.info.run_name == "gru-96"
    assert child.info.status == "FINISHED"
    assert child.data.tags["mlflow.parentRunId"] == parent
    assert child.data.tags["rnnflow.code"] == "abc"
    assert child.data.params == {"model.cell": "gru", "training.epochs": "2"}
    assert child.data.metrics["test/accuracy_low"] == 0.88
    assert curve(child.info.run_id, "fit/valid_loss") == [(1, 0.6), (2, 0.4)]


def test_recording_a_candidate_again_changes_nothing(mlflow_store):
    parent = runs.open_run(REVIEWS)

    assert recording.record_candidate(parent, GRU) == recording.record_candidate(parent, GRU)

    child = recording.open_child_run(parent, "gru-96")
    assert curve(child, "fit/train_loss") == [(1, 0.7), (2, 0.5)]
    assert curve(child, "test/accuracy") == [(0, 0.9)]


def test_a_point_keeps_the_time_at_which_it_was_seen(mlflow_store):
    parent = runs.open_run(REVIEWS)

    recording.record_metrics(parent, [("loss", 1, 0.5, 1_700_000_000_000), ("loss", 2, 0.4)])

    first, second = mlflow_client.connect().get_metric_history(parent, "loss")
    assert first.timestamp == 1_700_000_000_000
    assert second.timestamp > 1_790_000_000_000


def test_the_same_request_served_twice_adds_nothing(mlflow_store, monkeypatch):
    parent = runs.open_run(REVIEWS)
    monkeypatch.setattr(recording, "_known_steps", lambda *_: set())

    for _ in range(2):
        recording.record_metrics(parent, [("loss", 1, 0.5, 1_700_000_000_000)])
    assert curve(parent, "loss") == [(1, 0.5)]

    for now in (1, 2):  # without a time of its own it would be doubled
        monkeypatch.setattr(time, "time", lambda now=now: now)
        recording.record_metrics(parent, [("loss", 2, 0.4)])
    assert curve(parent, "loss") == [(1, 0.5), (2, 0.4), (2, 0.4)]


def test_values_that_are_not_finite_become_tags(mlflow_store):
    parent = runs.open_run(REVIEWS)

    recording.record_metrics(parent, [("loss", 1, 0.5), ("loss", 2, math.nan), ("auc", 0, math.inf)])

    run = mlflow_client.connect().get_run(parent)
    assert run.data.metrics == {"loss": 0.5}
    assert run.data.tags["not_finite.loss"] == "nan at step 2"
    assert run.data.tags["not_finite.auc"] == "inf at step 0"


def test_more_points_than_one_call_takes_are_all_recorded(mlflow_store):
    parent = runs.open_run(REVIEWS)

    recording.record_metrics(parent, [("loss", step, 0.5) for step in range(1001)])

    assert len(curve(parent, "loss")) == 1001


def test_lineage_names_the_content_and_not_the_place(mlflow_store):
    def write(folder):
        (folder / "rows.txt").write_text("a")
        return Summary.model_validate({"rows": 3})

    rows = build("ingest", write, module="tasks.store.artefacts", config={})
    parent = runs.open_run(REVIEWS)

    recording.record_lineage(parent, {"rows": rows})
    recording.record_lineage(parent, {"rows": rows})

    [logged] = mlflow_client.connect().get_run(parent).inputs.dataset_inputs
    assert logged.dataset.name == "rows"
    assert logged.dataset.digest == rows.digest[:36]
    assert logged.dataset.profile == '{"rows": 3}'
    assert logged.dataset.source == f'{{"path": "data/ingest/{rows.key}", "sha256": "{rows.digest}"}}'


def test_runs_are_listed_newest_first_without_their_children(mlflow_store):
    first = runs.open_run(REVIEWS)
    recording.record_candidate(first, GRU)
    recording.record_metrics(first, recording.final_points({"test/accuracy": 0.9}))
    recording.record_settings(first, tags={"rnnflow.version": "reviews/3", "rnnflow.metric": "accuracy"})
    outbox.end_run("flow-1", "COMPLETED")
    time.sleep(0.01)
    runs.open_run(RunContext(recipe="other", flow_run_id="flow-2"))

    newest, oldest = recording.list_runs()

    assert (newest.recipe, newest.status, newest.test, newest.version) == ("other", "RUNNING", None, "")
    assert (oldest.name, oldest.status, oldest.metric, oldest.test) == ("amber-fox", "FINISHED", "accuracy", 0.9)
    assert oldest.version == "reviews/3"
    assert recording.list_runs(limit=1) == [newest]
