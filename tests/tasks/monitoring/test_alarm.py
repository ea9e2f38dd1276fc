"""A drift is told once per champion version and window, whatever dies in between."""

import json

import pytest

from tasks.monitoring import alarm
from tasks.monitoring.alarm import alarm_once
from tasks.monitoring.drift import Comparison
from tasks.monitoring.examination import DriftReport
from tasks.tracking import events


@pytest.fixture
def sent(monkeypatch):
    """The ids of the events that were sent; `tests/flows/test_monitor.py` sends one to a server."""
    ids = []
    monkeypatch.setattr(alarm, "send_event", lambda _report, *, event_id: ids.append(event_id) or True)
    return ids


def report(*, drifted=True, version="3", rows=600):
    moved = Comparison(
        feature="length", title="mean length", rows=600, before=10, now=20, shown=("10", "20"), drifted=drifted, psi=1.0
    )
    return DriftReport(
        name="reviews",
        version=version,
        unit="rows",
        window_days=30,
        min_rows=500,
        psi_limit=0.2,
        rows=rows,
        labelled_rows=0,
        comparisons=(moved,) if rows >= 500 else (),
    )


def test_a_drift_is_told_once_while_it_lasts(sent):
    assert [alarm_once(report()) for _ in range(3)] == [True, False, False]
    assert len(sent) == 1


def test_no_drift_is_not_told(sent):
    assert not alarm_once(report(drifted=False))
    assert not alarm_once(report(rows=3))
    assert sent == []


def test_a_drift_of_the_next_champion_is_told(sent):
    assert [alarm_once(report(version=version)) for version in ("3", "4", "4")] == [True, True, False]
    assert len(set(sent)) == 2


def test_a_drift_that_comes_back_is_told_again(sent):
    assert [alarm_once(report(drifted=drifted)) for drifted in (True, False, True)] == [True, False, True]
    assert len(set(sent)) == 2


@pytest.mark.usefixtures("sent")
def test_too_few_rows_do_not_end_a_drift():
    assert [alarm_once(report(rows=rows)) for rows in (600, 3, 600)] == [True, False, False]


@pytest.mark.usefixtures("sent")
def test_a_drift_that_outlasts_the_window_is_told_again(project):
    alarm_once(report())
    path = project / "data" / "seen" / "reviews" / "alarm.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "expires": "2020-01-01T00:00:00+00:00"}))

    assert alarm_once(report())


def test_a_monitor_killed_while_it_sent_sends_the_same_event_again(sent, monkeypatch):
    def die(_report, *, event_id):
        sent.append(event_id)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(alarm, "send_event", die)
        with pytest.raises(KeyboardInterrupt):
            alarm_once(report())

    assert [alarm_once(report()) for _ in range(2)] == [True, False]
    assert len(sent) == 2
    assert len(set(sent)) == 1


def test_an_event_that_cannot_be_sent_is_kept_for_the_next_run(monkeypatch, caplog):
    ids = []
    monkeypatch.setattr(events, "emit_event", lambda **fields: ids.append(fields["id"]))

    assert [alarm_once(report()) for _ in range(2)] == [False, False]
    assert caplog.messages == ["The event rnnflow.drift could not be sent; the next monitor run sends it again."] * 2
    assert ids[0] == ids[1]
