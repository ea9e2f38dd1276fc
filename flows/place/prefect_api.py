"""What we ask a Prefect server without Prefect, whose import takes seconds."""

import base64
import contextlib
import datetime
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator, Sequence
from typing import IO, Any, TypeAlias

from flows.place.access import prefect_auth_string
from tasks.errors import ServiceError, quoted

Json: TypeAlias = Any  # what a server answers; its shape is documented by Prefect's API

ANSWER_LIMIT_S, HEALTH_LIMIT_S = 60, 5  # a server on a busy disk answers late
BUSY_LIMIT_S, BUSY_PAUSE_S = 30, 0.5
PAGE_SIZE = 200  # the most that a server returns at once
UNFINISHED = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")
NOT_FOUND = 404
SILENCE = (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException)
BUSY = (429, 502, 503)  # such as a SQLite database that another request has locked: to be asked again


def answers(url: str) -> bool:
    """Tell whether a server speaks at all; one that wants a password first does."""
    try:
        with _open(f"{url}/health", limit_s=HEALTH_LIMIT_S):
            return True
    except urllib.error.HTTPError as error:
        return error.code in (401, 403)
    except (*SILENCE, ValueError):
        return False


def ask(url: str, body: dict | None = None, *, method: str | None = None) -> Json:
    """Get what an address holds, or what it answers to a JSON body; None for no content.

    Raises one of SILENCE; a server that is busy for a moment is asked again.
    """
    data = None if body is None else json.dumps(body).encode()
    deadline = time.monotonic() + BUSY_LIMIT_S
    while True:
        try:
            with _open(url, data, method) as response:
                content = response.read()
            return json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            if error.code not in BUSY or time.monotonic() > deadline:
                raise
        time.sleep(BUSY_PAUSE_S)


def exists(url: str) -> bool:
    """Tell whether an address of the API holds something.

    Raises one of SILENCE if the server cannot tell.
    """
    return find(url) is not None


def find(url: str) -> Json:
    """Get what an address of the API holds; None if there is nothing.

    Raises one of SILENCE if the server cannot tell.
    """
    try:
        return ask(url)
    except urllib.error.HTTPError as error:
        if error.code == NOT_FOUND:
            return None
        raise


def count_task_runs(url: str, flow_run_id: str, states: tuple[str, ...] = ()) -> int:
    """Count the task runs that a server has stored for a flow run, of all states or of some."""
    query: dict = {"flow_runs": {"id": {"any_": [flow_run_id]}}}
    if states:
        query["task_runs"] = {"state": {"type": {"any_": states}}}
    return ask(f"{url}/task_runs/count", query)


def worker_heartbeats(url: str, pool: str) -> dict[str, float]:
    """When each worker of a pool that counts as online last spoke, in seconds since 1970."""
    workers = ask(f"{url}/work_pools/{pool}/workers/filter", {"limit": PAGE_SIZE})
    return {
        worker["name"]: datetime.datetime.fromisoformat(worker["last_heartbeat_time"]).timestamp()
        for worker in workers
        if worker["status"] == "ONLINE"
    }


def deployed_names(url: str, names: Sequence[str]) -> set[str]:
    """Which of these deployments exist."""
    found = ask(f"{url}/deployments/filter", {"deployments": {"name": {"any_": list(names)}}, "limit": PAGE_SIZE})
    return {deployment["name"] for deployment in found}


def read_state(url: str, flow_run_id: str) -> str:
    """The type of a flow run's state, such as RUNNING."""
    return ask(f"{url}/flow_runs/{flow_run_id}")["state_type"]


def set_state(url: str, flow_run_id: str, state: dict, *, force: bool = False) -> None:
    """Propose a state (`type`, `name`, `message`) for a flow run; `force` leaves the server no choice."""
    ask(f"{url}/flow_runs/{flow_run_id}/set_state", {"state": state, "force": force})


@contextlib.contextmanager
def answering(url: str) -> Generator[None]:
    """Turn a server's silence or refusal in this block into a ServiceError (E-SVC-014)."""
    try:
        yield
    except SILENCE as error:
        raise ServiceError(
            "E-SVC-014",
            f"the Prefect server at {quoted(without_credentials(url))} failed: {quoted(error)}.",
            fix="see `rnnflow status`, then run the same command again: what is already running stays.",
        ) from error


def without_credentials(url: str) -> str:
    """An address as it may be shown."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _open(url: str, body: bytes | None = None, method: str | None = None, limit_s: float = ANSWER_LIMIT_S) -> IO[bytes]:
    """Send a request, to a server on this machine without the proxy that the environment may name."""
    local = url.startswith("http://127.0.0.1:")
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))
    headers = {"Content-Type": "application/json", **_authorization()}
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 (URL of the user's)
    return opener.open(request, timeout=limit_s)


def _authorization() -> dict[str, str]:
    """Who we are, as Prefect's own settings say it: an API key, or `user:password`, as for our own server."""
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if pair := os.environ.get("PREFECT_API_AUTH_STRING") or prefect_auth_string():
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}
