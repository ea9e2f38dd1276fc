"""A run whose worker is gone stops itself once it is to be cancelled."""

import datetime
import signal
from types import SimpleNamespace

import pytest
from prefect.states import Crashed

from flows import cancellation, lifecycle
from flows.cancellation import GRACE_S, must_stop

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


def test_the_watch_ends_its_own_process_and_has_the_run_called_cancelled(monkeypatch: pytest.MonkeyPatch):
    answers = [OSError("a server that is away"), {"state": {"type": "RUNNING", "timestamp": NOW.isoformat()}}]
    answers += [{"state": {"type": "CANCELLING", "timestamp": NOW.isoformat()}}]
    done: list[object] = []

    def ask(url: str) -> dict:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise ConnectionError from answer
        return answer

    monkeypatch.setattr(cancellation, "POLL_S", 0)
    monkeypatch.setattr(cancellation, "GRACE_S", 0)
    monkeypatch.setattr(cancellation, "ask", ask)
    monkeypatch.setattr(cancellation.os, "kill", lambda pid, number: done.append(number))
    monkeypatch.setattr(cancellation, "set_state", lambda url, run, state, *, force: done.append(state["type"]))
    monkeypatch.setattr(lifecycle.spool, "end_run", lambda run, state: done.append((run, state)))

    cancellation._watch("http://127.0.0.1:1/api", "r1")
    lifecycle.end_run(None, SimpleNamespace(id="r1"), Crashed())

    assert done == [signal.SIGTERM, ("r1", "CANCELLED"), "CANCELLED"]
