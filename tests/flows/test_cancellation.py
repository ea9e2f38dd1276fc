"""A run whose worker is gone stops itself once it is to be cancelled."""

import datetime
import os
import signal
import stat
import threading

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import Cancelling, Crashed, Running

from flows import cancellation, lifecycle
from flows.cancellation import GRACE_S, ended_by_cancellation, must_stop, outlive_readers
from tasks.tracking import outbox

victim = flow(name="victim")(lambda: None)
NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("state", "age_s", "expected"),
    [
        ("RUNNING", 9_999, False),
        ("CANCELLING", GRACE_S - 1, False),  # a living worker is at it
        ("CANCELLING", GRACE_S + 1, True),
        ("CANCELLED", 0, True),  # whoever said so cannot reach the process
    ],
)
def test_a_run_stops_itself_when_nobody_else_does(state: str, age_s: float, expected: bool):
    since = (NOW - datetime.timedelta(seconds=age_s)).isoformat()

    assert must_stop({"type": state, "timestamp": since}, NOW) is expected


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["SCHEDULED", "RUNNING", "CANCELLING", "CRASHED"], True),
        (["RUNNING", "CANCELLING", "CANCELLED", "CRASHED"], True),
        (["RUNNING", "CRASHED"], False),
        (["RUNNING", "CANCELLING", "CANCELLED", "SCHEDULED", "RUNNING", "CRASHED"], False),  # ordered again
    ],
)
def test_a_crash_that_follows_a_cancellation_is_one(types: list[str], expected: bool):
    states = [{"type": name, "timestamp": f"2026-03-01T12:00:{second:02}Z"} for second, name in enumerate(types)]

    assert ended_by_cancellation(states[::-1]) is expected


def test_a_run_that_crashed_as_it_was_cancelled_ends_as_cancelled(server: str, monkeypatch: pytest.MonkeyPatch):
    ended: list[tuple[str, str]] = []
    with get_client(sync_client=True) as client:
        runs = [client.create_flow_run(victim) for _ in range(2)]
        for run, states in zip(runs, ([Running(), Cancelling(), Crashed()], [Running(), Crashed()]), strict=True):
            for state in states:
                client.set_flow_run_state(run.id, state, force=True)
            monkeypatch.setenv(cancellation.OWN_RUN, str(run.id))
            monkeypatch.setattr(outbox, "end_run", lambda flow_run, state: ended.append((flow_run, state)))
            lifecycle.end_run(victim, run, client.read_flow_run(run.id).state)

        assert [client.read_flow_run(run.id).state.name for run in runs] == ["Cancelled", "Crashed"]
    assert ended == [(str(runs[0].id), "CANCELLED"), (str(runs[1].id), "CRASHED")]


def test_the_watch_ends_its_own_process_once_nobody_else_does(monkeypatch: pytest.MonkeyPatch):
    states = iter(["away", "RUNNING", "CANCELLING"])
    signals: list[int] = []

    def ask(url: str) -> dict:
        state = next(states)
        if state == "away":
            raise ConnectionError
        return {"state": {"type": state, "timestamp": NOW.isoformat()}}

    monkeypatch.setattr(cancellation, "POLL_S", 0)
    monkeypatch.setattr(cancellation, "GRACE_S", 0)
    monkeypatch.setattr(cancellation, "ask", ask)
    monkeypatch.setattr(cancellation.os, "kill", lambda pid, number: signals.append(number))

    cancellation._watch("http://127.0.0.1:1/api", "r1")

    assert signals == [signal.SIGTERM]


def test_what_is_written_to_a_dead_reader_goes_nowhere_and_to_a_living_one_arrives():
    (dead, to_dead), (alive, to_alive) = os.pipe(), os.pipe()
    watch = threading.Thread(target=outlive_readers, args=((to_dead, to_alive),), daemon=True)
    watch.start()

    os.close(dead)
    while stat.S_ISFIFO(os.fstat(to_dead).st_mode):
        assert watch.is_alive()
    os.write(to_dead, b"lost")
    os.write(to_alive, b"heard")

    assert os.read(alive, 9) == b"heard"
    os.close(alive)
    watch.join()
    os.close(to_dead)
    os.close(to_alive)
