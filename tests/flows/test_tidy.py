"""After a death Prefect, MLflow and the slots of the GPU agree again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling, Completed, Pending, Running, State

from flows.commands.cli import main
from flows.lifecycle import LIFECYCLE
from flows.place import dead_runs
from flows.tidy import ENTRIES, describe, exit_status_of, tidy, tidy_up
from tasks.promotion import ledger
from tasks.tracking import leases, mlflow_client, runs
from tasks.tracking.runs import RunContext

HOLDER = (
    "import sys, time; from tasks.tracking import leases; leases.hold(sys.argv[1]); print(flush=True); time.sleep(600)"
)


@pytest.fixture
def client(server: str) -> Iterator[SyncPrefectClient]:
    """A client of the server, on which no flow run of an earlier test is left unfinished."""
    with get_client(sync_client=True) as client:
        yield client
        for run in client.read_flow_runs():
            if not run.state.is_final():
                client.set_flow_run_state(run.id, Completed(), force=True)


@flow(name="victim")
def victim() -> None:
    pass


def start(client: SyncPrefectClient, state: State | None = None) -> FlowRun:
    run = client.create_flow_run(victim)
    client.set_flow_run_state(run.id, state or Running(), force=True)
    return run


def hold_and_die(run: FlowRun) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(run.id)], stdout=subprocess.PIPE)
    process.stdout.readline()
    process.kill()
    process.wait()


def state_of(client: SyncPrefectClient, run: FlowRun) -> str:
    return client.read_flow_run(run.id).state.name


def test_a_flow_run_whose_process_died_is_crashed_and_its_lease_goes(client, project):
    run = start(client)
    hold_and_die(run)

    summary = tidy_up()

    assert summary["crashed"] == [run.name]
    assert state_of(client, run) == "Crashed"
    assert not list((project / "data" / "leases").iterdir())
    assert not any(tidy_up().values())


def test_the_living_and_those_of_other_machines_are_left_alone(client, project):
    here, elsewhere = start(client), start(client)
    leases.hold(str(here.id))

    assert tidy_up()["crashed"] == []
    assert [state_of(client, here), state_of(client, elsewhere)] == ["Running", "Running"]


def test_a_death_while_being_cancelled_ends_in_cancelled(client, project):
    run = start(client)
    hold_and_die(run)
    client.set_flow_run_state(run.id, Cancelling(), force=True)

    tidy_up()

    assert state_of(client, run) == "Cancelled"


def test_a_run_that_is_cancelled_before_it_began_is_named_and_ended(client, project):
    run = start(client, Pending())
    client.set_flow_run_state(run.id, Cancelling(), force=True)

    assert tidy_up()["crashed"] == [run.name]
    assert state_of(client, run) == "Cancelled"


def test_a_retry_that_has_just_begun_is_not_taken_for_its_dead_predecessor(client, project, monkeypatch):
    run = start(client)
    hold_and_die(run)
    client.set_flow_run_state(run.id, Running(), force=True)

    assert tidy_up()["crashed"] == []

    monkeypatch.setattr(dead_runs, "STARTING_S", 0)
    assert tidy_up()["crashed"] == [run.name]


@pytest.mark.parametrize(("pool_type", "is_crashed"), [("process", True), ("kubernetes", False)])
def test_a_run_that_a_dead_worker_never_started_is_crashed_in_time(client, project, monkeypatch, pool_type, is_crashed):
    client.create_work_pool(WorkPoolCreate(name=f"pool-{pool_type}", type=pool_type))
    flow_id = client.create_flow(victim)
    deployment = client.create_deployment(flow_id, name=pool_type, work_pool_name=f"pool-{pool_type}")
    run = client.create_flow_run_from_deployment(deployment)
    client.set_flow_run_state(run.id, Pending(), force=True)
    assert tidy_up()["crashed"] == []

    monkeypatch.setattr(dead_runs, "PENDING_LIMIT_S", 0)

    assert tidy_up()["crashed"] == [run.name] * is_crashed


def test_the_slot_of_a_dead_run_comes_free(client, project):
    flow_id = client.create_flow(victim)
    deployment = client.create_deployment(flow_id, name="one-at-a-time", concurrency_limit=1)
    first, second = (client.create_flow_run_from_deployment(deployment) for _ in range(2))
    client.set_flow_run_state(first.id, Pending())
    client.set_flow_run_state(first.id, Running())
    hold_and_die(first)
    client.set_flow_run_state(second.id, Pending())
    assert state_of(client, second) == "AwaitingConcurrencySlot"

    tidy_up()
    client.set_flow_run_state(second.id, Pending(), force=False)

    assert [state_of(client, first), state_of(client, second)] == ["Crashed", "Pending"]


def test_the_fits_of_a_run_that_is_over_are_stopped(client, project):
    ids: list = []

    @flow
    def parent() -> None:
        for state in (Running(), Pending()):
            child = client.create_flow_run(victim, parent_task_run_id=task_run_of(client).id)
            client.set_flow_run_state(child.id, state, force=True)
            ids.append(child)

    parent()

    assert sorted(tidy_up()["cancelled"]) == sorted(run.name for run in ids)
    assert [state_of(client, run) for run in ids] == ["Cancelling", "Cancelled"]


def task_run_of(client: SyncPrefectClient):
    from prefect import task
    from prefect.context import FlowRunContext

    placeholder = task(name="fit")(lambda: None)
    return client.create_task_run(placeholder, FlowRunContext.get().flow_run.id, dynamic_key=os.urandom(4).hex())


def test_mlflow_ends_a_killed_run_as_prefect_does(client, project):
    run = start(client)
    mlflow_run = runs.open_run(RunContext(recipe="reviews", flow_run_id=str(run.id)))
    hold_and_die(run)

    summary = tidy_up(thorough=True)

    assert (summary["crashed"], summary["ended"], summary["failures"]) == ([run.name], [str(run.id)], [])
    assert summary["sent"] == ["sent 2 records of 1 run"]
    assert mlflow_client.connect().get_run(mlflow_run).info.status == "FAILED"


def test_before_a_command_only_what_is_owed_is_sent(client, project, monkeypatch):
    run = start(client)
    mlflow_run = runs.open_run(RunContext(recipe="reviews", flow_run_id=str(run.id)))
    hold_and_die(run)
    monkeypatch.delattr("tasks.tracking.orphans.end_orphans")
    monkeypatch.delattr("flows.tidy.synchronize")

    assert tidy_up()["failures"] == []

    assert mlflow_client.connect().get_run(mlflow_run).info.status == "FAILED"


def test_mlflow_out_of_reach_is_named_and_stops_nothing_else(client, project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    run = start(client)
    runs.note_run(RunContext(recipe="reviews", flow_run_id=str(run.id)))
    hold_and_die(run)

    summary = tidy_up(thorough=True)

    assert (summary["crashed"], summary["ended"]) == ([run.name], [str(run.id)])
    assert len(summary["failures"]) == 2
    assert all(failure.startswith("MLflow's store") for failure in summary["failures"])


def test_a_broken_champion_is_called_broken_and_ends_the_command_with_3(client, project):
    entry = {"champion": "1", "champion_content": "c1", "reason": "r", "actor": "gate"}
    ledger.append(ledger.Draft(model="reviews", action="first", **entry), expected=0)

    summary = tidy_up(thorough=True)
    shown = CliRunner().invoke(main, ["tidy"])

    assert (summary["aliases"], summary["failures"], exit_status_of(summary)) == ([], [], 3)
    assert shown.exit_code == 3
    assert shown.stdout == (
        "- models whose champion is gone (1): "
        "E-REG-007 champion reviews/1 (entry 1, content c1) is no longer registered. "
        "Fix: restore MLflow's store; or train again and accept what is registered then: rnnflow promote "
        "reviews/VERSION --reason TEXT.\n"
    )
    assert shown.stderr == ""
    assert exit_status_of({**summary, "broken": [], "foreign": ["reviews: another ledger"]}) == 5
    assert exit_status_of({**summary, "broken": [], "failures": ["MLflow"]}) == 5
    assert exit_status_of({**summary, "broken": []}) == 0


def test_the_flow_shows_what_it_did(client, project):
    run = start(client)
    hold_and_die(run)

    summary = tidy()

    assert list(summary) == list(ENTRIES)
    assert describe(summary) == f"- {ENTRIES['crashed']} (1): {run.name}"
    assert describe({name: [] for name in ENTRIES}) == "Nothing was left open."


def test_a_flow_holds_its_lease_and_ends_its_mlflow_run(client, project, monkeypatch):
    seen: dict = {}

    @flow(**LIFECYCLE)
    def train() -> None:
        from prefect.context import FlowRunContext

        seen["id"] = str(FlowRunContext.get().flow_run.id)
        seen["held"] = leases.is_held(seen["id"])
        seen["run"] = runs.open_run(RunContext(recipe="reviews", flow_run_id=seen["id"]))
        raise RuntimeError("the machine caught fire")

    with pytest.raises(RuntimeError, match="caught fire"):
        train()

    assert seen["held"]
    assert not leases.is_held(seen["id"])
    assert mlflow_client.connect().get_run(seen["run"]).info.status == "FAILED"
    assert not list(Path(project, "data", "leases").iterdir())
