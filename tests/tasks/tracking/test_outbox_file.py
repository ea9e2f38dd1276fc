"""What is owed to MLflow survives torn lines, repeated sending and the death of whoever writes or sends."""

import signal
import subprocess
import sys
import time

import pytest

from tasks.tracking.outbox_file import END, METRICS, OPEN, list_files, open_file

CONTEXT = {"flow_run_id": "flow-1"}
EPOCH = {"kind": METRICS, "child": "gru", "points": []}


@pytest.fixture
def outbox(project):
    return open_file("flow-1")


def kinds(outbox):
    return [record["kind"] for record in outbox.read()]


def send_all(outbox):
    with outbox.sending():
        owed = outbox.owed()
        outbox.mark_sent(len(owed))
    return [record["kind"] for record in owed]


def test_looking_at_a_file_does_not_make_one(outbox):
    assert (outbox.read(), outbox.owed(), outbox.context(), outbox.is_ended()) == ([], [], {}, False)
    with outbox.sending():
        assert outbox.owed() == []
    assert not outbox.exists()
    assert list_files() == []


def test_a_run_begins_once_until_it_has_ended(outbox):
    outbox.begin(CONTEXT)
    outbox.begin(CONTEXT)
    outbox.end("FAILED")
    outbox.end("FINISHED")
    outbox.begin(CONTEXT)

    assert kinds(outbox) == [OPEN, END, OPEN]
    assert outbox.read()[1]["status"] == "FAILED"


def test_what_was_sent_is_not_sent_again(outbox):
    outbox.begin(CONTEXT)
    assert send_all(outbox) == [OPEN]
    outbox.append(EPOCH)

    assert outbox.owed() == [EPOCH]
    assert send_all(outbox) == [METRICS]
    assert send_all(outbox) == []


def test_a_lost_count_costs_a_repetition_and_no_record(outbox):
    outbox.begin(CONTEXT)
    send_all(outbox)
    outbox.path.write_bytes(b"\n".join(line for line in outbox.path.read_bytes().split(b"\n") if b"sent" not in line))

    assert send_all(outbox) == [OPEN]


def test_a_file_goes_when_its_end_is_sent(outbox):
    outbox.begin(CONTEXT)
    send_all(outbox)
    assert outbox.exists()

    outbox.end("FINISHED")
    send_all(outbox)

    assert list(outbox.path.parent.iterdir()) == []


@pytest.mark.parametrize("torn", [b"{", b'{"kind": "metrics", "child": "gr', b"\x00\xff", b'"text"'])
def test_a_torn_line_is_skipped_and_what_follows_is_kept(outbox, torn):
    outbox.begin(CONTEXT)
    send_all(outbox)
    with outbox.path.open("ab") as file:
        file.write(b"\n" + torn)
    assert outbox.owed() == []

    outbox.append(EPOCH)

    assert kinds(outbox) == [OPEN, METRICS]
    assert send_all(outbox) == [METRICS]


def test_without_closing_a_torn_line_the_next_record_would_be_lost(outbox):
    outbox.begin(CONTEXT)
    with outbox.path.open("ab") as file:
        file.write(b'\n{"kind": "met' + b'{"kind": "end", "status": "FAILED"}')

    assert kinds(outbox) == [OPEN]


def test_a_writer_killed_at_any_instant_leaves_whole_records(outbox):
    code = """if True:
        from tasks.tracking.outbox_file import open_file
        outbox, number = open_file("flow-1"), 0
        while True:
            number += 1
            outbox.append({"kind": "metrics", "child": "x" * 5000, "number": number})
            print(number, flush=True)"""
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        writer.stdout.readline()
        time.sleep(0.02)
        writer.send_signal(signal.SIGKILL)
        written = [1, *map(int, writer.communicate()[0].split())]
        numbers = [record["number"] for record in outbox.read()]
        assert numbers[: len(written)] == written
        assert len(numbers) <= len(written) + 1
        outbox.path.unlink()


def test_two_processes_never_send_at_the_same_time(outbox):
    outbox.begin(CONTEXT)
    code = """if True:
        from tasks.tracking.outbox_file import open_file
        print("ready", flush=True)
        file = open_file("flow-1")
        with file.sending():
            print(len(file.owed()), flush=True)"""
    with outbox.sending():
        other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == "ready\n"
        time.sleep(0.1)
        outbox.mark_sent(1)

    assert other.communicate(timeout=60)[0] == "0\n"


def test_each_store_has_files_of_its_own(outbox, monkeypatch):
    outbox.begin(CONTEXT)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")

    assert list_files() == []
    assert not open_file("flow-1").exists()
