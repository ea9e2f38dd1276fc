"""Who is alive: the process of a flow run holds a locked file for it, and the kernel frees the lock on any death.

A lease that exists and is free is the proof of a death, seconds before anybody misses a heartbeat. Leases tell of this
machine alone; a flow run without one here may well live elsewhere. Files: `data/leases/<flow run id>`.
"""

import contextlib
import datetime
import fcntl
import json
import os
import platform
import time
from pathlib import Path
from typing import IO

from tasks.errors import ServiceError
from tasks.store.artefacts import home
from tasks.store.locks import lock_file
from tasks.tracking.mlflow_client import check_name

TAKE_LIMIT_S = 1.0  # a check of whether a lease is held locks it for an instant
POLL_S = 0.02

_held: dict[Path, IO[str]] = {}


def hold(flow_run_id: str) -> None:
    """Hold a flow run's lease until `release`, at the latest until this process ends; holding it again does nothing.

    Raises ServiceError (E-SVC-021) if another process holds it.
    """
    path = _path(flow_run_id)
    if path in _held:
        return
    file = _lock(path)
    acquired = datetime.datetime.now(datetime.UTC).isoformat()
    file.truncate(0)
    json.dump({"host": platform.node(), "pid": os.getpid(), "acquired": acquired}, file)
    file.flush()
    _held[path] = file


def release(flow_run_id: str) -> None:
    """Give up and delete a lease that this process holds; one of another process stays."""
    path = _path(flow_run_id)
    if path in _held:
        path.unlink(missing_ok=True)
        _held.pop(path).close()


def is_held(flow_run_id: str) -> bool:
    """Tell whether a living process holds the lease."""
    return _is_locked(_path(flow_run_id)) is True


def is_dead(flow_run_id: str) -> bool:
    """Tell whether a process of this machine held the lease and died."""
    path = _path(flow_run_id)
    return _is_locked(path) is False and _read(path).get("host", "") in ("", platform.node())


def acquired_at(flow_run_id: str) -> datetime.datetime | None:
    """When the lease was last taken, in UTC; None if that is not known."""
    text = _read(_path(flow_run_id)).get("acquired")
    return datetime.datetime.fromisoformat(text) if text else None


def list_dead() -> list[str]:
    """Flow runs whose process on this machine died."""
    return sorted(path.name for path in _folder().glob("*") if is_dead(path.name))


def discard(flow_run_id: str) -> None:
    """Delete a lease unless somebody holds it."""
    path = _path(flow_run_id)
    with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open() as file:
        if path not in _held:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)


def _folder() -> Path:
    return home() / "data" / "leases"


def _path(flow_run_id: str) -> Path:
    return _folder() / check_name(flow_run_id, what="flow run id")


def _is_locked(path: Path) -> bool | None:
    """Whether a lease is locked; None if there is none."""
    if path in _held:
        return True
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False if os.fstat(file.fileno()).st_nlink else None
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return True


def _lock(path: Path) -> IO[str]:
    deadline = time.monotonic() + TAKE_LIMIT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            return lock_file(path, waits=False)
        time.sleep(POLL_S)
    raise _taken(path)


def _read(path: Path) -> dict:
    """What the holder wrote; nothing if it died before it had written."""
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        return json.loads(path.read_text(encoding="utf-8"))
    return {}


def _taken(path: Path) -> ServiceError:
    holder = _read(path)
    return ServiceError(
        "E-SVC-021",
        f"flow run {path.name} is already being run, by process {holder.get('pid', '?')} on {holder.get('host', '?')}.",
        fix="let that process finish, or stop it; then run this again.",
    )
