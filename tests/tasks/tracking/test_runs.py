"""One MLflow run per flow run, and none left open."""

import dataclasses
import subprocess
import sys

import pytest

from tasks.errors import InputError, ServiceError
from tasks.tracking import mlflow_client, outbox, recording, runs
from tasks.tracking.runs import RunContext

REVIEWS = RunContext(recipe="reviews", flow_run_id="flow-1", flow_run_name="amber-fox", flow_run_url="http://prefect/1")
NEXT = dataclasses.replace(REVIEWS, flow_run_id="flow-2", flow_run_url="http://prefect/2")
GUEST = RunContext(recipe="", flow_run_id="fit-1", flow_run_url="http://prefect/f", parent_flow_run_id="flow-1")


def status_of(run_id: str) -> str:
    return mlflow_client.connect().get_run(run_id).info.status


def tags_of(run_id: str) -> dict[str, str]:
    return mlflow_client.connect().get_run(run_id).data.tags


def test_a_flow_run_has_one_run_however_often_it_is_opened(mlflow_store):
    assert runs.open_run(REVIEWS) == runs.open_run(REVIEWS)


def test_a_run_carries_the_flow_run_and_its_page(mlflow_store):
    run = mlflow_client.connect().get_run(runs.open_run(REVIEWS))

    assert run.info.run_name == "amber-fox"
    assert run.data.tags["rnnflow.flow_run"] == "flow-1"
    assert run.data.tags["mlflow.note.content"] == "[Prefect flow run](http://prefect/1)"


def test_no_address_of_an_artifact_holds_the_folder(mlflow_store):
    run = mlflow_client.connect().get_run(runs.open_run(REVIEWS))

    assert run.info.artifact_uri == f"mlflow-artifacts:/reviews/{run.info.run_id}/artifacts"


@pytest.mark.parametrize(("state", "status"), runs.STATUS_OF_STATE.items())
def test_a_run_and_its_open_children_end_as_the_flow_run_did(mlflow_store, state, status):
    parent = runs.open_run(REVIEWS)
    child = recording.open_child_run(parent, "gru")

    outbox.end_run("flow-1", state)

    assert [status_of(parent), status_of(child)] == [status, status]
    assert not list(mlflow_store.rglob("*.jsonl"))


def test_ending_keeps_the_status_of_children_that_ended(mlflow_store):
    parent = runs.open_run(REVIEWS)
    child = recording.record_candidate(parent, recording.CandidateRecord(name="gru"))

    outbox.end_run("flow-1", "FAILED")

    assert status_of(child) == "FINISHED"


def test_a_flow_run_that_opened_nothing_is_ended_without_mlflow(project):
    code = (
        "import sys; from tasks.tracking import outbox; outbox.end_run('f', 'FAILED'); print('mlflow' in sys.modules)"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
    assert not (project / "mlruns").exists()


def test_a_retried_flow_run_reopens_its_run(mlflow_store):
    first = runs.open_run(REVIEWS)
    outbox.end_run("flow-1", "FAILED")

    assert runs.open_run(REVIEWS) == first
    assert status_of(first) == "RUNNING"


def test_a_death_before_the_run_is_opened_leaves_a_note_of_it(mlflow_store, monkeypatch):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "reach_run", die)
        with pytest.raises(KeyboardInterrupt):
            runs.open_run(REVIEWS)

    assert outbox.pending("flow-1") == 1


@pytest.mark.parametrize("known", ["mlflow_run", "continues"])
def test_a_flow_run_that_resumes_another_takes_its_run_over(mlflow_store, known):
    first = runs.open_run(REVIEWS)
    outbox.end_run("flow-1", "CRASHED")

    named = {"mlflow_run": first} if known == "mlflow_run" else {"continues": "flow-1"}
    assert runs.open_run(dataclasses.replace(NEXT, **named)) == first

    assert status_of(first) == "RUNNING"
    assert tags_of(first)["rnnflow.flow_run"] == "flow-2"
    assert tags_of(first)["rnnflow.flow_runs"] == "flow-1,flow-2"
    assert tags_of(first)["mlflow.note.content"] == "[Prefect flow run](http://prefect/2)"


def test_the_end_of_a_flow_run_does_not_end_what_another_has_taken_over(mlflow_store):
    first = runs.open_run(REVIEWS)
    runs.open_run(dataclasses.replace(NEXT, continues="flow-1"))

    outbox.end_run("flow-1", "CRASHED")
    assert status_of(first) == "RUNNING"

    outbox.end_run("flow-2", "COMPLETED")
    assert status_of(first) == "FINISHED"


def test_a_run_to_resume_that_is_gone_is_replaced(mlflow_store):
    client, first = mlflow_client.connect(), runs.open_run(REVIEWS)
    client.delete_run(first)

    second = runs.open_run(dataclasses.replace(NEXT, mlflow_run=first, continues="flow-1"))
    third = runs.open_run(RunContext(recipe="reviews", flow_run_id="flow-3", mlflow_run="0" * 32))

    assert len({first, second, third}) == 3


def test_a_guest_logs_below_the_run_of_its_parent_and_leaves_it_open(mlflow_store):
    parent = runs.open_run(REVIEWS)
    assert runs.open_run(GUEST) == parent
    child = recording.open_child_run(parent, "gru", fitted_by=GUEST)

    outbox.end_run("fit-1", "COMPLETED")

    assert [status_of(parent), status_of(child)] == ["RUNNING", "RUNNING"]
    assert tags_of(parent)["rnnflow.flow_runs"] == "flow-1"
    assert tags_of(child)["rnnflow.fitted_by"] == "fit-1"
    assert tags_of(child)["mlflow.note.content"] == "[Prefect flow run](http://prefect/f)"


def test_a_guest_that_fails_ends_its_candidate_alone(mlflow_store):
    parent = runs.open_run(REVIEWS)
    runs.open_run(GUEST)
    lost = recording.open_child_run(parent, "gru", fitted_by=GUEST)
    other = recording.open_child_run(parent, "lstm", fitted_by=REVIEWS)

    outbox.end_run("fit-1", "CRASHED")

    assert [status_of(run) for run in (parent, lost, other)] == ["RUNNING", "FAILED", "RUNNING"]


def test_a_candidate_that_is_fitted_again_runs_again(mlflow_store):
    parent = runs.open_run(REVIEWS)
    first = recording.open_child_run(parent, "gru", fitted_by=GUEST)
    mlflow_client.connect().set_terminated(first, "FAILED")
    again = dataclasses.replace(GUEST, flow_run_id="fit-2")

    assert recording.open_child_run(parent, "gru", fitted_by=again) == first
    assert (status_of(first), tags_of(first)["rnnflow.fitted_by"]) == ("FAILED", "fit-1")

    assert recording.open_child_run(parent, "gru", fitted_by=again, reopen=True) == first
    assert (status_of(first), tags_of(first)["rnnflow.fitted_by"]) == ("RUNNING", "fit-2")


def test_a_guest_without_a_run_above_it_waits(mlflow_store):
    with pytest.raises(ServiceError) as caught:
        runs.open_run(GUEST)

    assert str(caught.value) == (
        "E-SVC-023 flow run flow-1 has no MLflow run yet that could hold its candidates' runs.\n"
        "Fix: let it continue; `rnnflow sync` sends what is pending."
    )


def test_runs_that_a_slow_server_created_twice_become_one(mlflow_store):
    client, parent = mlflow_client.connect(), runs.open_run(REVIEWS)
    child = recording.record_candidate(parent, recording.CandidateRecord(name="gru", metrics={"test/accuracy": 0.9}))
    experiment = client.get_run(parent).info.experiment_id
    client.create_run(experiment, tags={runs.FLOW_RUN: "flow-1", runs.FLOW_RUNS: "flow-1"}, start_time=1)
    client.create_run(experiment, run_name="gru", tags={runs.PARENT_RUN: parent}, start_time=1)

    outbox.end_run("flow-1", "COMPLETED")

    assert {run.info.run_id for run in client.search_runs([experiment])} == {parent, child}


def test_a_run_that_was_deleted_by_hand_does_not_stop_the_next(mlflow_store):
    mlflow_client.connect().delete_run(runs.open_run(REVIEWS))
    outbox.end_run("flow-1", "FAILED")

    assert status_of(runs.open_run(RunContext(recipe="reviews", flow_run_id="next"))) == "RUNNING"


def test_an_experiment_deleted_by_hand_is_restored(mlflow_store):
    first = mlflow_client.connect().get_run(runs.open_run(REVIEWS))
    mlflow_client.connect().delete_experiment(first.info.experiment_id)

    second = mlflow_client.connect().get_run(runs.open_run(RunContext(recipe="reviews", flow_run_id="next")))

    assert second.info.experiment_id == first.info.experiment_id


def test_a_flow_run_id_that_could_change_a_filter_is_refused(mlflow_store):
    with pytest.raises(InputError, match="E-NAME-001"):
        runs.open_run(RunContext(recipe="reviews", flow_run_id="x' OR 1"))
    with pytest.raises(InputError, match="E-NAME-001 continues: "):
        runs.open_run(RunContext(recipe="reviews", flow_run_id="flow-1", continues="%' OR 1"))


def test_the_folder_may_move(mlflow_store, tmp_path, monkeypatch):
    runs.open_run(REVIEWS)
    outbox.end_run("flow-1", "FAILED")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    mlflow_store.rename(moved / "mlruns")
    monkeypatch.setenv("RNNFLOW_HOME", str(moved))

    assert [run.name for run in recording.list_runs()] == ["amber-fox"]


def test_a_run_that_found_all_its_results_made_by_another_leaves_nothing(mlflow_store):
    run_id = runs.open_run(REVIEWS)

    outbox.end_run("flow-1", "COMPLETED")

    assert mlflow_client.connect().get_run(run_id).info.lifecycle_stage == "deleted"
