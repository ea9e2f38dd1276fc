"""What is owed to MLflow survives torn lines, repeated sending and the death of whoever writes or sends."""

import signal
import subprocess
import sys
import time

import pytest

from tasks.tracking.journal import END, METRICS, OPEN, list_journals, open_journal

CONTEXT = {"flow_run_id": "flow-1"}
EPOCH = {"kind": METRICS, "child": "gru", "points": []}


@pytest.fixture
def journal(project):
    return open_journal("flow-1")


def kinds(journal):
    return [record.get("kind") for record in journal.read()]


def send_all(journal):
    with journal.sending() as outbox:
        _, unsent = outbox.split_records()
        if unsent:
            outbox.mark_sent(unsent[-1][0])
    return [record["kind"] for _, record in unsent]


def test_looking_at_a_journal_does_not_make_one(journal):
    assert (journal.read(), journal.count_pending(), journal.is_ended()) == ([], 0, False)
    assert send_all(journal) == []
    assert not journal.exists()
    assert list_journals() == []


def test_a_run_begins_once_until_it_has_ended(journal):
    journal.begin(CONTEXT)
    journal.begin(CONTEXT)
    journal.end("FAILED")
    journal.end("FINISHED")
    journal.begin(CONTEXT)

    assert kinds(journal) == [OPEN, END, OPEN]
    assert journal.read()[1]["status"] == "FAILED"


def test_what_was_sent_is_not_sent_again(journal):
    journal.begin(CONTEXT)
    assert send_all(journal) == [OPEN]
    journal.append(EPOCH)

    assert journal.count_pending() == 1
    assert send_all(journal) == [METRICS]
    assert send_all(journal) == []


def test_a_lost_count_costs_a_repetition_and_no_record(journal):
    journal.begin(CONTEXT)
    send_all(journal)
    journal.path.with_suffix(".sent").write_bytes(b"")

    assert send_all(journal) == [OPEN]


def test_a_journal_goes_when_its_end_is_sent(journal):
    journal.begin(CONTEXT)
    send_all(journal)
    assert journal.exists()

    journal.end("FINISHED")
    send_all(journal)

    assert list(journal.path.parent.iterdir()) == []


@pytest.mark.parametrize("torn", [b"{", b'{"kind": "metrics", "child": "gr', b"\x00\xff", b'"text"'])
def test_a_torn_line_is_skipped_and_what_follows_is_kept(journal, torn):
    journal.begin(CONTEXT)
    send_all(journal)
    with journal.path.open("ab") as file:
        file.write(torn)
    assert journal.count_pending() == 0

    journal.append(EPOCH)

    assert kinds(journal) == [OPEN, None, METRICS]
    assert send_all(journal) == [METRICS]


def test_without_closing_a_torn_line_the_next_record_would_be_lost(journal):
    journal.begin(CONTEXT)
    with journal.path.open("ab") as file:
        file.write(b'{"kind": "met' + b'{"kind": "end", "status": "FAILED"}\n')

    assert kinds(journal) == [OPEN, None]


def test_a_writer_killed_at_any_instant_leaves_whole_records(journal):
    code = """if True:
        from tasks.tracking.journal import open_journal
        journal, number = open_journal("flow-1"), 0
        while True:
            number += 1
            journal.append({"kind": "metrics", "child": "x" * 5000, "number": number})
            print(number, flush=True)"""
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        writer.stdout.readline()
        time.sleep(0.02)
        writer.send_signal(signal.SIGKILL)
        written = [1, *map(int, writer.communicate()[0].split())]
        numbers = [record["number"] for record in journal.read() if record]
        assert numbers[: len(written)] == written
        assert len(numbers) <= len(written) + 1
        journal.path.unlink()


def test_two_processes_never_send_at_the_same_time(journal):
    journal.begin(CONTEXT)
    code = """if True:
        from tasks.tracking.journal import open_journal
        print("ready", flush=True)
        with open_journal("flow-1").sending() as outbox:
            print(len(outbox.split_records()[1]), flush=True)"""
    with journal.sending() as outbox:
        other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == "ready\n"
        time.sleep(0.1)
        outbox.mark_sent(1)

    assert other.communicate(timeout=60)[0] == "0\n"


def test_each_store_has_journals_of_its_own(journal, monkeypatch):
    journal.begin(CONTEXT)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")

    assert list_journals() == []
    assert not open_journal("flow-1").exists()
