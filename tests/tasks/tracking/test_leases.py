"""A lease tells the living from the dead, whatever killed them."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.errors import InputError, ServiceError
from tasks.tracking import leases

HOLDER = """if True:
    import sys, time
    from tasks.tracking import leases
    leases.hold(sys.argv[1])
    print("held", flush=True)
    time.sleep(600)"""


def start_holder(flow_run_id: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, flow_run_id], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def lease(project: Path, flow_run_id: str) -> Path:
    return project / "data" / "leases" / flow_run_id


def test_a_flow_run_without_a_lease_is_neither_held_nor_dead(project):
    assert (leases.is_held("a"), leases.is_dead("a"), leases.list_dead()) == (False, False, [])


def test_a_lease_is_held_until_it_is_given_up(project):
    for _ in range(2):  # holding it again is nothing
        leases.hold("a")
        assert (leases.is_held("a"), leases.is_dead("a")) == (True, False)

    leases.release("a")
    assert (leases.is_held("a"), leases.is_dead("a")) == (False, False)
    assert not lease(project, "a").exists()


def test_a_killed_holder_is_dead_and_its_lease_can_be_taken_again(project):
    holder = start_holder("a")
    assert (leases.is_held("a"), leases.is_dead("a")) == (True, False)

    kill(holder)

    assert (leases.is_held("a"), leases.is_dead("a"), leases.list_dead()) == (False, True, ["a"])
    leases.hold("a")
    assert not leases.is_dead("a")


def test_a_flow_run_that_another_process_runs_is_refused(project):
    holder = start_holder("a")
    try:
        with pytest.raises(ServiceError) as caught:
            leases.hold("a")
        leases.discard("a")
        assert leases.is_held("a")
    finally:
        kill(holder)

    owner = json.loads(lease(project, "a").read_text())
    assert str(caught.value) == (
        f"E-SVC-021 flow run a is already being run, by process {holder.pid} on {owner['host']}.\n"
        "Fix: let that process finish, or stop it; then run this again."
    )


def test_the_dead_of_another_machine_are_not_ours_to_tell(project):
    kill(start_holder("a"))
    lease(project, "a").write_text('{"host": "elsewhere", "pid": 1, "acquired": "2026-11-22T10:00:00+00:00"}')

    assert not leases.is_dead("a")
    assert leases.acquired_at("a").isoformat() == "2026-11-22T10:00:00+00:00"


def test_a_holder_that_died_before_it_wrote_is_dead(project):
    lease(project, "a").parent.mkdir(parents=True)
    lease(project, "a").touch()

    assert leases.is_dead("a")
    assert leases.acquired_at("a") is None


def test_discarding_deletes_the_lease_of_the_dead_but_not_of_the_living(project):
    lease(project, "dead").parent.mkdir(parents=True)
    lease(project, "dead").touch()
    leases.hold("alive")

    for flow_run_id in ("dead", "alive", "unknown"):
        leases.discard(flow_run_id)

    assert leases.is_held("alive")
    assert not lease(project, "dead").exists()


def test_a_flow_run_id_that_leads_elsewhere_is_refused(project):
    with pytest.raises(InputError, match="E-NAME-001"):
        leases.hold("../a")
