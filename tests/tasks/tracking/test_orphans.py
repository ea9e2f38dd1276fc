"""Runs whose flow run is over end as it did; those of the living are left alone."""

import dataclasses

import pytest

from tasks.tracking import leases, mlflow_client, orphans, outbox, recording, runs
from tasks.tracking.outbox_file import list_files
from tasks.tracking.runs import RunContext

REVIEWS = RunContext(recipe="reviews", flow_run_id="flow-1")


def die(project, flow_run_id: str) -> None:
    """Leave the lease that a killed process leaves."""
    folder = project / "data" / "leases"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / flow_run_id).touch()


def status_of(run_id: str) -> str:
    return mlflow_client.connect().get_run(run_id).info.status


def end_all(state: str | None) -> tuple[list[str], list[str]]:
    """Tidy up while Prefect says this of every flow run: flow runs noted as ended, MLflow runs closed."""
    noted = orphans.note_ends(lambda _: state)
    outbox.replay()
    return noted, orphans.end_orphans(lambda _: state)


@pytest.mark.parametrize("state", orphans.OVER)
def test_a_run_ends_as_prefect_says_and_its_children_with_it(mlflow_store, state):
    parent = runs.open_run(REVIEWS)
    child = recording.open_child_run(parent, "gru")

    assert end_all(state) == (["flow-1"], [])

    assert [status_of(run) for run in (parent, child)] == [runs.STATUS_OF_STATE[state]] * 2
    assert list_files() == []


@pytest.mark.parametrize("state", ["RUNNING", "PENDING", "SCHEDULED", "CANCELLING"])
def test_a_run_is_left_alone_until_its_process_is_dead(mlflow_store, project, state):
    parent = runs.open_run(REVIEWS)
    assert end_all(state) == ([], [])
    assert status_of(parent) == "RUNNING"

    die(project, "flow-1")

    assert end_all(state) == (["flow-1"], [])
    assert status_of(parent) == "FAILED"


@pytest.mark.parametrize("state", [None, "CRASHED", "RUNNING"])
def test_a_run_whose_process_lives_is_left_alone_whatever_prefect_says(mlflow_store, state):
    parent = runs.open_run(REVIEWS)
    leases.hold("flow-1")

    assert end_all(state) == ([], [])
    assert status_of(parent) == "RUNNING"


def test_what_waits_of_a_flow_run_that_nobody_knows_is_ended(mlflow_store):
    parent = runs.open_run(REVIEWS)

    assert end_all(None) == (["flow-1"], [])
    assert status_of(parent) == "FAILED"


def test_a_run_of_which_nothing_waits_is_found_in_mlflow(mlflow_store):
    parent = runs.open_run(REVIEWS)
    child = recording.open_child_run(parent, "gru")
    for one in list_files():
        one.path.unlink()

    assert end_all(None) == ([], [])  # it may belong to another project that shares the store
    assert end_all("CANCELLED") == ([], [parent])
    assert [status_of(run) for run in (parent, child)] == ["KILLED", "KILLED"]


def test_a_child_left_behind_by_its_parent_ends_as_it_did(mlflow_store):
    parent = runs.open_run(REVIEWS)
    outbox.end_run("flow-1", "CANCELLED")
    child = recording.open_child_run(parent, "gru")

    assert end_all("CANCELLED") == ([], [child])
    assert status_of(child) == "KILLED"


def test_runs_of_others_in_the_same_store_are_left_alone(mlflow_store):
    client = mlflow_client.connect()
    parent = client.create_run("0").info.run_id
    child = client.create_run("0", tags={runs.PARENT_RUN: parent}).info.run_id
    client.set_terminated(parent)

    assert end_all("FAILED") == ([], [])
    assert status_of(child) == "RUNNING"


def test_the_end_of_a_dead_guest_ends_its_candidate(mlflow_store, project):
    guest = RunContext(recipe="", flow_run_id="fit-1", parent_flow_run_id="flow-1")
    parent = runs.open_run(REVIEWS)
    runs.open_run(guest)
    child = recording.open_child_run(parent, "gru", fitted_by=guest)
    die(project, "fit-1")
    leases.hold("flow-1")

    assert end_all("RUNNING") == (["fit-1"], [])
    assert [status_of(run) for run in (parent, child)] == ["RUNNING", "FAILED"]


def test_a_dead_flow_run_does_not_end_what_a_living_one_resumed(mlflow_store, project):
    parent = runs.open_run(REVIEWS)
    die(project, "flow-1")
    runs.open_run(dataclasses.replace(REVIEWS, flow_run_id="flow-2", continues="flow-1"))
    leases.hold("flow-2")

    assert end_all("CRASHED") == (["flow-1"], [])
    assert status_of(parent) == "RUNNING"
