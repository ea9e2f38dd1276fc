"""The process that serves, and how tests ask it."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
JSON = {"Content-Type": "application/json"}


@dataclass
class Server:
    process: subprocess.Popen
    port: int
    log: Path

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, body: bytes, *, path: str = "/v1/predict", method: str = "POST", headers: dict = JSON) -> tuple:
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read()), dict(response.getheaders())

    def send_raw(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as raw:
            raw.sendall(request)
            return b"".join(iter(lambda: raw.recv(65536), b""))


@contextlib.contextmanager
def serving(home: Path, label: str, *caps: str, **environment: str) -> Iterator[Server]:
    """Run `rnnflow serve` with the champion of a project, the version `label`."""
    name = label.partition("/")[0]
    command = [sys.executable, "-m", "flows.commands.cli", "serve", name, "--port", "0"]
    log = home / "serve.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*command, *(part for cap in caps for part in ("--set", cap))],
            cwd=ROOT,
            env={**os.environ, "RNNFLOW_HOME": str(home), "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        line = process.stdout.readline()
        server = Server(process, int(line.partition("127.0.0.1:")[2].partition("/")[0]), log)
        assert line == (
            f"Serving {label} at http://127.0.0.1:{server.port}/v1/predict; "
            f"documentation at http://127.0.0.1:{server.port}/docs\n"
        )
        wait_until_alive(server)
        yield server
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_until_alive(server: Server) -> None:
    """The socket listens before the service does; what arrives meanwhile waits in its queue."""
    assert server.ask(b"", path="/health", method="GET")[0] == 200


def wait_for_version(server: Server, label: str) -> None:
    deadline = time.monotonic() + 60
    while server.ask(b"", path="/ready", method="GET")[1] != {"status": "ready", "model": label, "problem": None}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
