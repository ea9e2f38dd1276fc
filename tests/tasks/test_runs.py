"""One MLflow run per flow run, and none left open."""

import signal
import subprocess
import sys

import pytest

from tasks import recording, runs, tracking
from tasks.errors import InputError
from tasks.runs import RunContext

REVIEWS = RunContext(recipe="reviews", flow_run_id="flow-1", flow_run_name="amber-fox", flow_run_url="http://prefect/1")


def status_of(run_id: str) -> str:
    return tracking.connect().get_run(run_id).info.status


def test_a_flow_run_has_one_run_however_often_it_is_opened(mlflow_store):
    assert runs.open_run(REVIEWS) == runs.open_run(REVIEWS)


def test_a_run_carries_the_flow_run_and_its_page(mlflow_store):
    run = tracking.connect().get_run(runs.open_run(REVIEWS))

    assert run.info.run_name == "amber-fox"
    assert run.data.tags["rnnflow.flow_run"] == "flow-1"
    assert run.data.tags["mlflow.note.content"] == "[Prefect flow run](http://prefect/1)"


def test_no_address_of_an_artifact_holds_the_folder(mlflow_store):
    run = tracking.connect().get_run(runs.open_run(REVIEWS))

    assert run.info.artifact_uri == f"mlflow-artifacts:/reviews/{run.info.run_id}/artifacts"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_closing_a_run_ends_it_and_its_open_children(mlflow_store, status):
    parent = runs.open_run(REVIEWS)
    child = recording.open_child_run(parent, "gru")

    runs.close_run("flow-1", status)

    assert [status_of(parent), status_of(child)] == [status, status]


def test_closing_keeps_the_status_of_children_that_ended(mlflow_store):
    parent = runs.open_run(REVIEWS)
    child = recording.record_candidate(parent, recording.CandidateRecord(name="gru"))

    runs.close_run("flow-1", "FAILED")

    assert status_of(child) == "FINISHED"


def test_a_flow_run_that_opened_nothing_is_closed_without_mlflow(project):
    code = "import sys; from tasks import runs; runs.close_run('flow-1', 'FINISHED'); print('mlflow' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
    assert not (project / "mlruns").exists()


def test_a_retried_flow_run_reopens_its_run(mlflow_store):
    first = runs.open_run(REVIEWS)
    runs.close_run("flow-1", "FAILED")

    assert runs.open_run(REVIEWS) == first
    assert status_of(first) == "RUNNING"


def test_the_run_of_a_killed_process_is_closed_by_the_next_run(mlflow_store):
    code = """if True:
        import time
        from tasks import recording, runs
        parent = runs.open_run(runs.RunContext(recipe="reviews", flow_run_id="killed"))
        print(parent, recording.open_child_run(parent, "gru"), flush=True)
        time.sleep(600)"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    parent, child = process.stdout.readline().split()
    alive = runs.open_run(REVIEWS)
    assert status_of(parent) == "RUNNING"

    process.send_signal(signal.SIGKILL)
    process.wait()
    runs.open_run(RunContext(recipe="reviews", flow_run_id="next"))

    assert [status_of(parent), status_of(child), status_of(alive)] == ["KILLED", "KILLED", "RUNNING"]


def test_a_run_that_was_deleted_by_hand_does_not_stop_the_next(mlflow_store):
    tracking.connect().delete_run(runs.open_run(REVIEWS))
    runs.close_run("flow-1", "FAILED")

    assert status_of(runs.open_run(RunContext(recipe="reviews", flow_run_id="next"))) == "RUNNING"


def test_an_experiment_deleted_by_hand_is_restored(mlflow_store):
    first = tracking.connect().get_run(runs.open_run(REVIEWS))
    tracking.connect().delete_experiment(first.info.experiment_id)

    second = tracking.connect().get_run(runs.open_run(RunContext(recipe="reviews", flow_run_id="next")))

    assert second.info.experiment_id == first.info.experiment_id


def test_a_flow_run_id_that_could_change_a_filter_is_refused(mlflow_store):
    with pytest.raises(InputError, match="E-NAME-001"):
        runs.open_run(RunContext(recipe="reviews", flow_run_id="x' OR 1"))


def test_the_folder_may_move(mlflow_store, tmp_path, monkeypatch):
    runs.open_run(REVIEWS)
    runs.close_run("flow-1", "FINISHED")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    mlflow_store.rename(moved / "mlruns")
    monkeypatch.setenv("RNNFLOW_HOME", str(moved))

    assert [run.name for run in recording.list_runs()] == ["amber-fox"]
