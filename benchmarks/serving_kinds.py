"""Answer times of `rnnflow serve` for registered models of whatever kinds, each asked one question again and again.

Clients ask at once, over connections that stay open, as fast as answers come.
"""

import argparse
import contextlib
import http.client
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks import measure
from benchmarks.serving import running

VERSIONS = ("torch", "polars", "fastapi", "uvicorn")
WARM_UP_S = 3
JSON = {"Content-Type": "application/json"}
EXPLANATION = """\
Percentiles in milliseconds, over all requests after a warm-up; the clients are threads of one process and share the \
machine with the server, which has one thread of torch."""


def ask_on(address: str, body: bytes, until: float) -> list[float]:
    """Ask until a time, one question after another; returns the seconds that each answer took."""
    with contextlib.closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)) as connection:
        taken = []
        while (started := time.perf_counter()) < until:
            connection.request("POST", "/v1/predict", body, JSON)
            response = connection.getresponse()
            answer = response.read()
            if response.status != http.HTTPStatus.OK:
                raise RuntimeError(f"{response.status}: {answer[:500]!r}")
            taken.append(time.perf_counter() - started)
    return taken


def put_under_load(address: str, body: bytes, *, clients: int, seconds: float) -> list[float]:
    """The seconds that answers took while several clients asked."""
    taken: list[float] = []
    until = time.perf_counter() + seconds
    threads = [threading.Thread(target=lambda: taken.extend(ask_on(address, body, until))) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def measure_model(name: str, body: bytes, options: argparse.Namespace) -> list[list[str]]:
    """A row of the report for each number of clients."""
    rows = []
    with running("rnnflow", "", name=name, home=Path(os.environ["RNNFLOW_HOME"]), threads=1) as address:
        for clients in options.clients:
            put_under_load(address, body, clients=clients, seconds=WARM_UP_S)
            taken = put_under_load(address, body, clients=clients, seconds=options.seconds)
            percentiles = [f"{1000 * np.percentile(taken, percent):.0f}" for percent in (50, 99)]
            rows.append([name, f"{len(body):,}", str(clients), f"{len(taken) / options.seconds:.1f}", *percentiles])
    return rows


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving_kinds", description=__doc__)
    parser.add_argument(
        "asked", nargs="+", metavar="MODEL=BODY", help="a model of RNNFLOW_HOME, and a question in a file"
    )
    parser.add_argument("--clients", nargs="*", type=int, default=[1, 16], help="clients that ask at the same time")
    parser.add_argument("--seconds", type=float, default=10, help="length of a load")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args(arguments)


def main() -> None:
    """Run the benchmark and publish its report."""
    options = parse_arguments()
    asked = dict(pair.split("=", 1) for pair in options.asked)
    rows = [row for name, body in asked.items() for row in measure_model(name, Path(body).read_bytes(), options)]
    header = ["model", "bytes", "clients", "requests/s", "p50 (ms)", "p99 (ms)"]
    report = ["# Serving, by kind", measure.describe_run(VERSIONS), measure.markdown_table(header, rows), EXPLANATION]
    measure.publish("\n\n".join(report), options.output)


if __name__ == "__main__":
    main()
