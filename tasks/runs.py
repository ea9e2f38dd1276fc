"""One MLflow run per flow run, with a child per candidate; none stays open after its process.

Runs are found again by tag, so that a retried or resumed flow run goes on with its own. While a run is open its
process holds a locked file in `mlruns/open/`; the kernel frees the lock on any death, and the next run to open
closes what it finds unlocked.
"""

import contextlib
import fcntl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from tasks import tracking
from tasks.fingerprint import digest_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

FLOW_RUN = "rnnflow.flow_run"
PARENT_RUN = "mlflow.parentRunId"

# How a Prefect state's type reads in MLflow.
STATUS_OF_STATE = {"COMPLETED": "FINISHED", "FAILED": "FAILED", "CRASHED": "FAILED", "CANCELLED": "KILLED"}

_open_markers: dict[Path, IO[str]] = {}


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Which flow run is being tracked: the recipe's name, Prefect's id, name and page of the run."""

    recipe: str
    flow_run_id: str
    flow_run_name: str = ""
    flow_run_url: str = ""


def open_run(context: RunContext) -> str:
    """Return the id of a flow run's MLflow run, creating or reopening it; runs of dead processes are closed.

    Raises ServiceError (E-SVC-004).
    """
    tracking.check_name(context.flow_run_id, what="flow run id")
    with tracking.answering():
        client = tracking.connect()
        _close_abandoned_runs(client)
        experiment_id = _experiment_id(client, tracking.check_name(context.recipe, what="recipe name"))
        run = find_run(client, [experiment_id], f"tags.{FLOW_RUN} = '{context.flow_run_id}'")
        if run is None:
            run = client.create_run(experiment_id, run_name=context.flow_run_name or None, tags=_tags_of(context))
        elif run.info.status != "RUNNING":
            client.update_run(run.info.run_id, status="RUNNING")
    _mark_open(context.flow_run_id)
    return run.info.run_id


def run_page(run_id: str) -> str:
    """Address of a run in MLflow's pages: on the server in use, else where `mlflow ui` would show the project's store.

    Raises ServiceError (E-SVC-004).
    """
    with tracking.answering():
        experiment_id = tracking.connect().get_run(run_id).info.experiment_id
    return f"{tracking.pages_address()}/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"


def close_run(flow_run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
    """End the run of a flow run and its open children; a flow run that opened none costs nothing.

    Raises ServiceError (E-SVC-004); the run is then closed by the next one that opens.
    """
    marker = _marker(flow_run_id)
    if marker.exists():
        with tracking.answering():
            _close(tracking.connect(), marker, status)


def find_run(client: "MlflowClient", experiment_ids: list[str], condition: str) -> "Run | None":
    """Return the first run that meets a condition, if any."""
    return next(iter(client.search_runs(experiment_ids, condition, max_results=1)), None)


def _experiment_id(client: "MlflowClient", name: str) -> str:
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = f"{tracking.ARTIFACT_SCHEME}:/{name}" if tracking.store_uri() == tracking.local_store_uri() else None
        # Another process may have been faster; its experiment is as good as ours.
        with contextlib.suppress(tracking.load_mlflow().MlflowException):
            return client.create_experiment(name, artifact_location=location)
        experiment = client.get_experiment_by_name(name)
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return experiment.experiment_id


def _tags_of(context: RunContext) -> Mapping[str, str]:
    link = f"[Prefect flow run]({context.flow_run_url})" if context.flow_run_url else ""
    tags = {FLOW_RUN: context.flow_run_id, "rnnflow.flow_run_url": context.flow_run_url, "mlflow.note.content": link}
    return {key: value for key, value in tags.items() if value}


def _marker(flow_run_id: str) -> Path:
    """The file that exists while a flow run's MLflow run is open, in a folder per store."""
    return tracking.mlruns() / "open" / digest_of(tracking.store_name())[:12] / flow_run_id


def _mark_open(flow_run_id: str) -> None:
    """Hold a locked file while the run is open; the kernel frees the lock on any death of this process."""
    marker = _marker(flow_run_id)
    if marker in _open_markers:
        return
    marker.parent.mkdir(parents=True, exist_ok=True)
    unlocked = tracking.mlruns() / f"{flow_run_id}.opening"
    _open_markers[marker] = file = unlocked.open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    unlocked.rename(marker)


def _close_abandoned_runs(client: "MlflowClient") -> None:
    for marker in _marker("*").parent.glob("*"):
        with contextlib.suppress(BlockingIOError, FileNotFoundError), marker.open() as file:
            if marker not in _open_markers:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _close(client, marker, "KILLED")


def _close(client: "MlflowClient", marker: Path, status: str) -> None:
    experiment_ids = [experiment.experiment_id for experiment in client.search_experiments()]
    run = find_run(client, experiment_ids, f"tags.{FLOW_RUN} = '{marker.name}'")
    if run is not None:
        children = f"tags.{PARENT_RUN} = '{run.info.run_id}' AND attributes.status = 'RUNNING'"
        for child in client.search_runs([run.info.experiment_id], children):
            client.set_terminated(child.info.run_id, status)
        client.set_terminated(run.info.run_id, status)
    marker.unlink(missing_ok=True)
    if marker in _open_markers:
        _open_markers.pop(marker).close()
