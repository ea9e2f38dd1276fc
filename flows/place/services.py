"""A Prefect server for one command: the one that PREFECT_API_URL names, else the place's if it is up, else an own one.

Our own is started at once and awaited later, so that its start overlaps with our imports. It ends with the command;
its SQLite database in `data/prefect` stays, so that a dashboard opened later shows the run and all its task runs.
Commands that run at the same time start a server each, on the same database: none can take another's away.
"""

import contextlib
import ctypes
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from flows.place.parts import SERVER_COMMAND, client_environment, exported, prefect_folder, prefect_server_part
from flows.place.prefect_api import UNFINISHED, answers, count_task_runs, without_credentials
from flows.place.settings import PlaceSettings
from flows.place.status import running_place
from tasks.errors import ServiceError, quoted
from tasks.tracking.empty_database import create_empty

logger = logging.getLogger(__name__)

START_LIMIT_S = 120  # a first start creates the database: 11 s on an idle machine, 27 s on a busy one
STOP_LIMIT_S = 10
RECORD_LIMIT_S = 15
POLL_S = 0.1
QUIET_POLLS = 3

# They serve schedules, workers and automations, of which a single command has none.
IDLE_SERVICES = (
    *("CANCELLATION_CLEANUP", "CLEANUP_RECONCILER", "FOREMAN", "LATE_RUNS"),
    *("PAUSE_EXPIRATIONS", "REPOSSESSOR", "SCHEDULER", "TRIGGERS"),
)
# Types of blocks are registered by a server that stays; this takes a quarter of a start.
WITHOUT_BLOCKS = {"PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false"}
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True)
class OwnProcess:
    """The server process that this command started, and what tells how its start went."""

    process: subprocess.Popen
    log: Path
    log_start: int
    start_lock: IO[str]


@dataclass(frozen=True, kw_only=True)
class PrefectServer:
    """A server that may still be starting; `own` is None for one that others run."""

    url: str
    own: OwnProcess | None = None

    @property
    def dashboard(self) -> str:
        """Address of the pages for people."""
        base = self.url.removesuffix("/api")
        return without_credentials(self.url if base == self.url else f"{base}/v2")

    def is_ready(self) -> bool:
        """Tell whether the server answers."""
        return answers(self.url)

    def wait_until_ready(self) -> None:
        """Return once the server answers.

        Raises ServiceError: E-SVC-001 for a server of others, E-SVC-002, E-SVC-003 and E-SVC-029 for our own.
        """
        deadline = time.monotonic() + START_LIMIT_S
        while not self.is_ready():
            if self.own is None:
                raise _silent_server(self.url)
            if self.own.process.poll() is not None:
                raise _failed_start(self.own)
            if time.monotonic() > deadline:
                raise _slow_start(self.own)
            time.sleep(POLL_S)
        if self.own is not None:
            self.own.start_lock.close()

    def wait_until_recorded(self, flow_run_id: str) -> None:
        """Return once everything is sent, and our own server has stored the final states of a flow run's task runs.

        They travel as events in the background; a server stopped too early loses some.
        """
        _send_pending_events()
        try:
            recorded = self.own is None or _is_recorded(self.url, flow_run_id)
        except OSError:  # the server has died, and why the flow ended matters more
            recorded = False
        if not recorded:
            logger.warning("The dashboard may miss the end of some tasks of flow run %s.", flow_run_id)


@contextlib.contextmanager
def prefect_server() -> Generator[PrefectServer]:
    """Name a server to Prefect for the duration of a block; enter it before Prefect is imported."""
    if given := os.environ.get("PREFECT_API_URL"):
        with exported({"DO_NOT_TRACK": "true"}):
            yield PrefectServer(url=given.rstrip("/"))
        return
    if place := running_place():
        with exported(_place_environment(place)):
            yield PrefectServer(url=place.prefect_api)
        return
    folder = prefect_folder()
    folder.mkdir(parents=True, exist_ok=True)
    # One start at a time: two servers that create the database at once break each other.
    with (folder / "start.lock").open("w") as start_lock:
        fcntl.flock(start_lock, fcntl.LOCK_EX)
        settings = PlaceSettings(prefect_port=_free_port())
        own = _start_server(settings, start_lock)
        try:
            with exported(_own_environment(settings)):
                yield PrefectServer(url=settings.prefect_api, own=own)
        finally:
            _stop(own)


def _start_server(settings: PlaceSettings, start_lock: IO[str]) -> OwnProcess:
    log, database = prefect_folder() / "server.log", prefect_folder() / "prefect.db"
    if not database.exists():
        create_empty("prefect", database)
    idle = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in IDLE_SERVICES}
    with log.open("ab") as output:
        log_start = output.tell()
        process = subprocess.Popen(
            [sys.executable, *SERVER_COMMAND],
            env={**os.environ, **prefect_server_part(settings).environment, **idle, **WITHOUT_BLOCKS},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,  # Ctrl-C ends the flow first; it must not take the server away from it
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 (calls into libc only)
        )
    return OwnProcess(process=process, log=log, log_start=log_start, start_lock=start_lock)


def _own_environment(settings: PlaceSettings) -> dict[str, str]:
    """What Prefect reads at its import.

    Links to a run's page outlive this server, so they name the address of the dashboard that is opened later.
    """
    environment = {**client_environment(settings), "PREFECT_UI_URL": PlaceSettings().prefect_pages}
    del environment["MLFLOW_TRACKING_URI"]
    return environment


def _place_environment(place: PlaceSettings) -> dict[str, str]:
    """What a command needs to show its run in both dashboards of a place; another choice of MLflow is respected."""
    environment = client_environment(place)
    if os.environ.get("MLFLOW_TRACKING_URI") or not answers(place.mlflow):
        del environment["MLFLOW_TRACKING_URI"]
    return environment


def _end_with_parent() -> None:
    """Have the kernel end this process when the one that started it dies, however it dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop(own: OwnProcess) -> None:
    """End the server; one that has not started yet is killed, as each migration is one transaction."""
    if not own.start_lock.closed:
        own.process.kill()
    own.process.terminate()
    try:
        own.process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        own.process.kill()
        own.process.wait()


def _send_pending_events() -> None:
    """Empty the queues of task-run states and log lines that Prefect sends from threads."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (EventsWorker, APILogWorker):
        worker.drain_all(timeout=RECORD_LIMIT_S, at_exit=False)


def _is_recorded(url: str, flow_run_id: str) -> bool:
    """Wait until no task run is open and none has been added for a while."""
    deadline = time.monotonic() + RECORD_LIMIT_S
    seen, quiet = (-1, -1), 0
    while quiet < QUIET_POLLS and time.monotonic() < deadline:
        before, seen = seen, (count_task_runs(url, flow_run_id), count_task_runs(url, flow_run_id, UNFINISHED))
        quiet = quiet + 1 if seen == before and seen[1] == 0 else 0
        time.sleep(POLL_S)
    return quiet == QUIET_POLLS


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _silent_server(url: str) -> ServiceError:
    return ServiceError(
        "E-SVC-001",
        f"no Prefect server answers at PREFECT_API_URL={quoted(without_credentials(url))}.",
        fix="start that server, or unset PREFECT_API_URL: the command then starts a server itself.",
    )


def _slow_start(own: OwnProcess) -> ServiceError:
    return ServiceError(
        "E-SVC-029",
        f"the Prefect server is still starting after {START_LIMIT_S} s, its log is {own.log}.",
        fix="run the command again once the machine is less busy; nothing was lost.",
    )


def _failed_start(own: OwnProcess) -> ServiceError:
    text = own.log.read_bytes()[own.log_start :].decode(errors="replace")
    database = own.log.with_name("prefect.db")
    if "file is not a database" in text or "disk image is malformed" in text:
        return ServiceError(
            "E-SVC-003",
            "the database of the Prefect server is damaged.",
            fix=f"move it away (mv {database} {database}.damaged); only the history on the dashboard goes with it.",
            file=database,
        )
    last_line = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "nothing")
    return ServiceError(
        "E-SVC-002",
        f"the Prefect server did not start; its log ends with {quoted(last_line)}.",
        fix=f"pip install -r requirements.lock (fastapi and sqlalchemy are pinned); the whole log: {own.log}",
    )
