"""Whatever MLflow does, training goes on, nothing is lost and nothing is doubled."""

import contextlib
import itertools
import json
import math
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tasks.errors import InputError, ServiceError
from tasks.progress import Progress, emit, listening
from tasks.tracking import mlflow_client, outbox, outbox_file, outbox_sender, recording, runs
from tasks.tracking.runs import RunContext

SLOW_S = 0.8
NUM_EPOCHS = 12
numbers = itertools.count()


class Proxy(socketserver.ThreadingTCPServer):
    """A relay on the loopback interface that can behave as badly as a network and a server can."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Relay)
        self.target, self.mode, self.requests = target, "pass", 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Relay(socketserver.BaseRequestHandler):
    """One connection: each request is answered as the proxy's mode says at that moment."""

    def handle(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection(self.server.target) as upstream:
            while request := self.request.recv(1 << 20):
                self.server.requests += 1
                if not self.answer(request, upstream):
                    return

    def answer(self, request: bytes, upstream: socket.socket) -> bool:
        mode = self.server.mode
        if mode == "down":
            return False
        if mode == "half-open":
            time.sleep(600)
        if mode == "failing":
            self.request.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\nConnection: close\r\n\r\nOops")
            return False
        if mode == "slow":
            time.sleep(SLOW_S)
        upstream.sendall(request)
        while not ends_message(request):
            request += (more := self.request.recv(1 << 20))
            upstream.sendall(more)
        response = upstream.recv(1 << 20)
        while not ends_message(response):
            response += upstream.recv(1 << 20)
        if mode != "cut":  # the server has done what it was asked, and nobody learns of it
            self.request.sendall(response)
        return mode != "cut"


def ends_message(message: bytes) -> bool:
    head, separator, body = message.partition(b"\r\n\r\n")
    sizes = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(separator) and (len(body) >= int(sizes[0]) if sizes else True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[tuple[str, int]]:
    """A real MLflow server that the tests of this module share."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(empty_database.read_bytes())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *store],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not is_healthy(port):
            assert time.monotonic() < deadline, "MLflow's server did not start"
            time.sleep(0.2)
        yield "127.0.0.1", port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def is_healthy(port: int) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=1).is_success
    return False


@pytest.fixture
def proxy(server: tuple[str, int], project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """MLflow as this test's project reaches it: through a relay that the test may break; waits are short."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    monkeypatch.setattr(outbox_sender, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(outbox, "DRAIN_LIMIT_S", 0.3)
    monkeypatch.setattr(outbox, "END_LIMIT_S", 0.3)
    mlflow_client.load_mlflow()
    with Proxy(server) as relay:
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", relay.address)
        yield relay
        relay.shutdown()


@pytest.fixture
def run() -> RunContext:
    number = next(numbers)
    return RunContext(recipe=f"recipe-{number}", flow_run_id=f"flow-{number}", flow_run_url="http://prefect/1")


def train(epochs: range) -> float:
    """Tell of some epochs; returns the longest time that one of them was held up, in seconds."""
    held_up = []
    for epoch in epochs:
        started = time.perf_counter()
        emit(Progress(stage="fit", label="gru", epoch=epoch, figures={"train_loss": 1 / epoch}))
        held_up.append(time.perf_counter() - started)
        time.sleep(0.01)
    return max(held_up)


@dataclass
class Found:
    """What MLflow holds of a flow run: runs as (name, status), and the points of the loss."""

    runs: list[tuple[str, str]]
    points: list[tuple[int, float]]


def find(run: RunContext) -> Found:
    client = mlflow_client.connect()
    experiment = client.get_experiment_by_name(run.recipe)
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    points = [
        (point.step, point.value)
        for one in found
        for point in client.get_metric_history(one.info.run_id, "fit/train_loss")
    ]
    names = ["gru" if one.info.run_name == "gru" else "flow run" for one in found]
    return Found(sorted(zip(names, [one.info.status for one in found], strict=True)), sorted(points))


def whole(status: str) -> Found:
    points = [(epoch, 1 / epoch) for epoch in range(1, NUM_EPOCHS + 1)]
    return Found([("flow run", status), ("gru", status)], points)


def test_epochs_arrive_while_training_and_the_run_ends_with_the_flow_run(proxy, run, monkeypatch):
    monkeypatch.setattr(outbox, "DRAIN_LIMIT_S", 30)
    monkeypatch.setattr(outbox, "END_LIMIT_S", 30)
    with outbox.tracking_epochs(run) as live, listening(live):
        train(range(1, NUM_EPOCHS + 1))

    assert find(run) == whole("RUNNING")
    assert outbox.pending() == 0
    outbox.end_run(run.flow_run_id, "COMPLETED")
    assert find(run) == whole("FINISHED")
    assert outbox_file.list_files() == []


@pytest.mark.parametrize("mode", ["down", "slow", "failing", "half-open", "cut"])
def test_training_does_not_wait_and_nothing_is_lost_or_doubled(proxy, run, mode):
    proxy.mode = mode
    with outbox.tracking_epochs(run) as live, listening(live):
        assert train(range(1, NUM_EPOCHS + 1)) < SLOW_S / 2
        leaving = time.perf_counter()
    outbox.end_run(run.flow_run_id, "COMPLETED")
    assert time.perf_counter() - leaving < 2
    assert outbox.pending() > 0

    proxy.mode = "pass"
    replayed = outbox.replay()

    assert (replayed.failure, replayed.pending) == (None, 0)
    assert find(run) == whole("FINISHED")
    assert outbox.replay() == outbox.Replayed(records=0, runs=0, pending=0)
    assert find(run) == whole("FINISHED")


def test_sending_in_the_foreground_would_have_waited(proxy, run):
    proxy.mode = "slow"
    with listening(lambda event: recording.record_metrics("absent", recording.epoch_points([{"epoch": event.epoch}]))):
        assert train(range(1, 2)) > SLOW_S


def test_the_thread_goes_on_by_itself_when_the_server_comes_back(proxy, run, monkeypatch):
    monkeypatch.setattr(outbox, "DRAIN_LIMIT_S", 30)
    with outbox.tracking_epochs(run) as live, listening(live):
        train(range(1, 4))
        proxy.mode = "down"
        train(range(4, NUM_EPOCHS + 1))
        proxy.mode = "pass"

    assert find(run) == whole("RUNNING")


def test_a_replay_through_a_failing_server_keeps_what_it_could_not_send(proxy, run):
    proxy.mode = "down"
    with outbox.tracking_epochs(run) as live, listening(live):
        train(range(1, NUM_EPOCHS + 1))

    proxy.mode = "failing"
    replayed = outbox.replay()

    assert (replayed.records, replayed.pending) == (0, NUM_EPOCHS + 1)
    assert replayed.failure.code == "E-SVC-004"


def test_a_run_killed_while_it_writes_is_completed_up_to_its_last_whole_epoch(proxy, run, fresh_process):
    code = """if True:
        import json, sys, time
        from tasks.tracking import outbox
        from tasks.progress import Progress, emit, listening
        from tasks.tracking.runs import RunContext
        with outbox.tracking_epochs(RunContext(**json.loads(sys.argv[1]))) as live, listening(live):
            for epoch in range(1, 4):
                emit(Progress(stage="fit", label="gru", epoch=epoch, figures={"train_loss": 1 / epoch}))
            print("told", flush=True)
            time.sleep(600)"""
    context = {"recipe": run.recipe, "flow_run_id": run.flow_run_id}
    process = fresh_process.start(code, json.dumps(context), cwd=Path.cwd())
    assert process.stdout.readline() == "told\n"
    process.kill()
    process.communicate()
    with outbox_file.open_file(run.flow_run_id).path.open("ab") as file:
        file.write(b'\n{"kind": "metrics", "child": "gru", "poi')
    outbox.end_run(run.flow_run_id, "CRASHED")

    outbox.replay()

    assert find(run) == Found([("flow run", "FAILED"), ("gru", "FAILED")], [(1, 1.0), (2, 0.5), (3, 1 / 3)])


def test_what_register_records_later_adds_only_what_is_missing(proxy, run, monkeypatch):
    proxy.mode = "down"
    with outbox.tracking_epochs(run) as live, listening(live):
        train(range(1, NUM_EPOCHS))
    proxy.mode = "pass"

    outbox.settle(run)
    history = [{"epoch": epoch, "train_loss": 1 / epoch} for epoch in range(1, NUM_EPOCHS + 1)]
    recording.record_candidate(runs.open_run(run), recording.CandidateRecord(name="gru", history=history))

    assert find(run) == Found([("flow run", "RUNNING"), ("gru", "FINISHED")], whole("").points)


def test_a_server_that_is_being_restarted_is_awaited(proxy, run, monkeypatch):
    monkeypatch.setattr(mlflow_client, "POLL_S", 0.05)
    proxy.mode = "down"
    threading.Timer(0.5, setattr, [proxy, "mode", "pass"]).start()

    outbox.settle(run)

    assert proxy.mode == "pass"


def test_a_server_that_stays_away_or_is_too_slow_defers_what_needs_it(proxy, run, monkeypatch):
    monkeypatch.setenv("RNNFLOW_MLFLOW_WAIT_S", "0.2")
    monkeypatch.setattr(mlflow_client, "PROMPT_S", 0.2)
    proxy.mode = "slow"
    with pytest.raises(ServiceError, match=r'E-SVC-004 .* failed: "it takes \d+.\d s to answer"'):
        outbox.settle(run)

    proxy.mode = "down"
    with pytest.raises(ServiceError, match="E-SVC-004"):
        outbox.settle(run)


def test_a_wait_that_is_no_number_is_refused(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("RNNFLOW_MLFLOW_WAIT_S", "long")

    with pytest.raises(InputError) as caught:
        mlflow_client.wait_until_answering()

    assert str(caught.value) == (
        'E-SVC-022 RNNFLOW_MLFLOW_WAIT_S: got "long", expected a number of seconds.\nFix: write 30, or unset it.'
    )


def test_a_run_is_announced_at_once_or_later(proxy, run):
    proxy.mode = "down"
    assert outbox.announce(run) == ""

    proxy.mode = "pass"
    guest = RunContext(recipe="", flow_run_id=f"fit-{run.flow_run_id}", parent_flow_run_id=run.flow_run_id)
    with outbox.tracking_epochs(guest) as live, listening(live):
        train(range(1, NUM_EPOCHS + 1))
    outbox.replay()

    assert find(run) == whole("RUNNING")


def test_values_that_are_not_finite_survive_the_outbox(mlflow_store, run):
    with outbox.tracking_epochs(run) as live, listening(live):
        emit(Progress(stage="fit", label="gru", epoch=1, figures={"train_loss": math.nan, "valid_loss": math.inf}))
        emit(Progress(stage="fit", label="gru", figures={"train_loss": 0.6}))
        emit(Progress(stage="encode", label="gru", epoch=1))
    outbox.replay()

    child = mlflow_client.connect().get_run(recording.open_child_run(runs.open_run(run), "gru"))
    assert child.data.metrics == {}
    assert child.data.tags["not_finite.fit/train_loss"] == "nan at step 1"
    assert child.data.tags["not_finite.fit/valid_loss"] == "inf at step 1"


def test_a_fit_that_is_found_and_not_computed_costs_neither_a_run_nor_mlflow(project, fresh_process):
    code = """if True:
        import sys
        from tasks.tracking import outbox
        from tasks.tracking.runs import RunContext
        with outbox.tracking_epochs(RunContext(recipe="reviews", flow_run_id="flow-1")):
            pass
        print(outbox.replay().records, outbox.pending(), "mlflow" in sys.modules)"""

    assert fresh_process.run(code, cwd=Path.cwd()).stdout == "0 0 False\n"
    assert not (project / "mlruns").exists()


def test_deferred_orders_are_kept_until_they_are_carried_out(project):
    outbox.defer({"flow_run_id": "flow-2", "recipe": {"name": "reviews"}, "created": "2026-11-22T11:00:00+00:00"})
    outbox.defer({"flow_run_id": "flow-1", "recipe": {"name": "reviews"}, "created": "2026-11-22T10:00:00+00:00"})
    outbox.defer({"flow_run_id": "flow-3"})
    outbox.defer({"flow_run_id": "flow-3", "why": "again"})

    first, second, third = outbox.deferred()
    assert [first["flow_run_id"], second["flow_run_id"], third["why"]] == ["flow-1", "flow-2", "again"]

    for order in (first, second, third):
        outbox.forget(order)
    assert outbox.deferred() == []
