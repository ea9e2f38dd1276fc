"""Parts are kept running by supervisord, one daemon per place: it restarts what crashes and rotates logs.

It is controlled through XML-RPC on a Unix socket that only its owner may open.
"""

import contextlib
import getpass
import http.client
import os
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from flows.place.parts import PLACE_VARIABLE, Part
from flows.place.settings import place_folder
from tasks.errors import ServiceError, quoted
from tasks.store.artefacts import home
from tasks.store.fingerprint import digest_of

CONFIGURATION, LOG = "supervisor.conf", "supervisor.log"
MAX_SOCKET_BYTES = 95  # the kernel takes 107, and supervisord binds to a longer temporary name first
START_LIMIT_S, STOP_LIMIT_S, POLL_S = 20, 60, 0.1
PYTHON_VARIABLE = "RNNFLOW_PYTHON"

# Names are relative to the folder in which supervisord starts, so that no path has to be escaped.
DAEMON_SECTIONS = """\
[unix_http_server]
file=%(ENV_RNNFLOW_SOCKET)s
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
logfile=supervisor.log
logfile_maxbytes=5MB
logfile_backups=2
pidfile=supervisor.pid
childlogdir=.
"""

PART_SECTION = """
[program:{name}]
command="%(ENV_RNNFLOW_PYTHON)s" -m flows.place.start_part {name}
autostart=false
autorestart=true
startsecs=10
startretries=5
stopwaitsecs=20
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={name}.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=2
"""

UNREACHABLE = (OSError, http.client.HTTPException)
RUNNING_STATES = ("STARTING", "RUNNING")
DEAD_STATES = ("BACKOFF", "EXITED", "FATAL")

Answer: TypeAlias = Any  # what supervisord says; its shape is documented by its XML-RPC interface


@dataclass(frozen=True, kw_only=True)
class PartState:
    """What supervisord knows of a part: its state, process, start (s since 1970), and how often it died."""

    state: str = "STOPPED"
    pid: int = 0
    started: float = 0.0
    deaths: int = 0
    last_death: str = ""


def is_supervised() -> bool:
    """Tell whether this place's supervisord answers; a socket that a dead one left does not."""
    return _daemon_state() == "RUNNING"


def start_supervisor(parts: Sequence[Part]) -> None:
    """Start the daemon, with no part running yet.

    Raises ServiceError (E-SVC-012).
    """
    folder = place_folder()
    sections = [DAEMON_SECTIONS, *(PART_SECTION.format(name=part.name) for part in parts)]
    (folder / CONFIGURATION).write_text("".join(sections), encoding="utf-8")
    marks = {PLACE_VARIABLE: str(home()), PYTHON_VARIABLE: sys.executable, "RNNFLOW_SOCKET": str(socket_path())}
    started = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisord", "-c", CONFIGURATION],
        cwd=folder,
        env={**os.environ, **marks, "RNNFLOW_HOME": str(home())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    deadline = time.monotonic() + START_LIMIT_S
    while not is_supervised():
        if started.returncode != 0 or time.monotonic() > deadline:
            raise _failed_start(started)
        time.sleep(POLL_S)


def start_part(name: str) -> None:
    """Have a part started, unless it runs; its outcome is checked later."""
    if part_states()[name].state in DEAD_STATES:
        stop_parts([name])  # ends the pause before supervisord's own next attempt
    with contextlib.suppress(xmlrpc.client.Fault):  # it runs, or has died at once, which its state tells
        _call("startProcess", name, False)


def stop_parts(names: Sequence[str]) -> None:
    """Stop parts one after another and wait for each."""
    for name in names:
        with contextlib.suppress(xmlrpc.client.Fault):  # it does not run
            _call("stopProcess", name)


def stop_supervisor() -> None:
    """End the daemon with whatever parts still run, and wait until it is gone."""
    with contextlib.suppress(*UNREACHABLE, xmlrpc.client.Fault):
        _call("shutdown")
    deadline = time.monotonic() + STOP_LIMIT_S
    while _daemon_state() and time.monotonic() < deadline:
        time.sleep(POLL_S)


def part_states() -> dict[str, PartState]:
    """The state of every part by its name; empty if no supervisord answers."""
    try:
        processes = _call("getAllProcessInfo")
    except UNREACHABLE:
        return {}
    deaths = _deaths_by_part()
    return {
        process["name"]: PartState(
            state=process["statename"],
            pid=process["pid"],
            started=float(process["start"]),
            deaths=len(deaths.get(process["name"], [])),
            last_death=deaths.get(process["name"], [""])[-1],
        )
        for process in processes
    }


def log_of(name: str) -> Path:
    """The file that holds what a part printed."""
    return home() / "data" / "place" / f"{name}.log"


def last_lines(name: str, count: int) -> list[str]:
    """The last lines of a part's log that say something."""
    path = log_of(name)
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 20_000))
        lines = file.read().decode(errors="replace").splitlines()
    return [line.rstrip() for line in lines if line.strip()][-count:]


def socket_path() -> Path:
    """Where the daemon listens: in the place's folder, or a private one with a short name if that path is too long."""
    beside_state = home() / "data" / "place" / "supervisor.sock"
    if len(os.fsencode(beside_state)) <= MAX_SOCKET_BYTES:
        return beside_state
    folder = Path(tempfile.gettempdir()) / f"rnnflow-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ServiceError(
            "E-SVC-012",
            "the folder of the supervisor's socket is accessible to other users.",
            fix="remove it, or choose a project folder (RNNFLOW_HOME) with a shorter path.",
            file=folder,
        )
    return folder / f"{digest_of(str(home()))[:16]}.sock"


def _daemon_state() -> str:
    """What supervisord says of itself; empty if nobody listens."""
    try:
        return _call("getState")["statename"]
    except xmlrpc.client.Fault:  # it is on its way out
        return "SHUTDOWN"
    except UNREACHABLE:
        return ""


def _call(method: str, *arguments: object) -> Answer:
    """Call a method of supervisord's XML-RPC interface.

    Raises one of UNREACHABLE if nobody listens, xmlrpc.client.Fault if supervisord refuses.
    """
    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(serverurl=f"unix://{socket_path()}")
    proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)  # the host's name is not used
    try:
        return getattr(proxy.supervisor, method)(*arguments)
    finally:
        transport.close()


def _deaths_by_part() -> dict[str, list[str]]:
    """How each part died, unasked, since the daemon started: `terminated by SIGKILL`, `exit status 1`."""
    deaths: dict[str, list[str]] = {}
    log = home() / "data" / "place" / LOG
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []:
        if "supervisord started with pid" in line:
            deaths.clear()
        _, exited, rest = line.partition(" exited: ")
        name, _, reason = rest.partition(" (")
        if exited:
            deaths.setdefault(name, []).append(reason.partition(";")[0])
    return deaths


def _failed_start(started: subprocess.CompletedProcess) -> ServiceError:
    said = (started.stderr or started.stdout).strip().splitlines() or ["nothing"]
    return ServiceError(
        "E-SVC-012",
        f"the supervisor of the place did not start; it said {quoted(said[-1])}.",
        fix="free disk space or repair the folder it names, then run `rnnflow up` again.",
        file=home() / "data" / "place" / LOG,
    )
