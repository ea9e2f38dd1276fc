"""What we ask a Prefect server without Prefect, whose import takes seconds."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import IO

ANSWER_LIMIT_S = 10
UNFINISHED = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")


def answers(url: str) -> bool:
    """Tell whether a server speaks at all; one that wants a password first does."""
    try:
        with _open(f"{url}/health"):
            return True
    except urllib.error.HTTPError as error:
        return error.code in (401, 403)
    except (OSError, ValueError):
        return False


def count_task_runs(url: str, flow_run_id: str, states: tuple[str, ...] = ()) -> int:
    """Count the task runs that a server has stored for a flow run, of all states or of some."""
    query: dict = {"flow_runs": {"id": {"any_": [flow_run_id]}}}
    if states:
        query["task_runs"] = {"state": {"type": {"any_": states}}}
    with _open(f"{url}/task_runs/count", json.dumps(query).encode()) as response:
        return json.load(response)


def without_credentials(url: str) -> str:
    """An address as it may be shown."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _open(url: str, body: bytes | None = None) -> IO[bytes]:
    """Send a request, to a server on this machine without the proxy that the environment may name."""
    local = url.startswith("http://127.0.0.1:")
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 (URL of the user's)
    return opener.open(request, timeout=ANSWER_LIMIT_S)
