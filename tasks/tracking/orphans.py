"""MLflow runs that nobody will end: their flow run is over, or its process died."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tasks.tracking import leases, mlflow_client, runs
from tasks.tracking.outbox_file import list_files
from tasks.tracking.runs import FLOW_RUN, PARENT_RUN, STATUS_OF_STATE, Status

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

StateOf = Callable[[str], str | None]  # Prefect's state type of a flow run, None if Prefect does not know it
DEAD: Status = STATUS_OF_STATE["CRASHED"]
OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def note_ends(state_of: StateOf) -> list[str]:
    """Note in the outbox of flow runs that are over how they ended; returns those flow runs.

    An outbox is written by this project's processes alone. So one that neither Prefect nor a lease knows is over too.
    """
    ended = []
    for file in list_files():
        if file.is_ended() or leases.is_held(file.flow_run_id):
            continue
        state = state_of(file.flow_run_id)
        status = DEAD if state is None else _final_status(file.flow_run_id, state)
        if status is not None:
            file.end(status)
            ended.append(file.flow_run_id)
    return ended


def end_orphans(state_of: StateOf) -> list[str]:
    """End the MLflow runs that still run although their flow run is over; returns their ids.

    Raises ServiceError (E-SVC-004).
    """
    with mlflow_client.answering():
        client = mlflow_client.connect()
        running = runs.search_runs(client, runs.all_experiments(client), "attributes.status = 'RUNNING'")
        parents = {run.info.run_id for run in running if FLOW_RUN in run.data.tags}
        ended = [run for run in running if _end_if_over(client, run, state_of)]
        lost = [run for run in running if run.data.tags.get(PARENT_RUN) not in {None, *parents}]
        ended += [run for run in lost if _end_with_parent(client, run)]
    return [run.info.run_id for run in ended]


def _end_if_over(client: "MlflowClient", run: "Run", state_of: StateOf) -> bool:
    flow_run_id = run.data.tags.get(FLOW_RUN)
    if flow_run_id is None or leases.is_held(flow_run_id):
        return False
    status = _final_status(flow_run_id, state_of(flow_run_id))
    if status is not None:
        runs.end_owned_run(client, flow_run_id, status)
    return status is not None


def _end_with_parent(client: "MlflowClient", child: "Run") -> bool:
    """End a candidate's run as the run above it has ended; runs below a run that is not ours are left alone."""
    parent = client.get_run(child.data.tags[PARENT_RUN])
    is_over = FLOW_RUN in parent.data.tags and parent.info.status != "RUNNING"
    if is_over:
        client.set_terminated(child.info.run_id, parent.info.status)
    return is_over


def _final_status(flow_run_id: str, state: str | None) -> Status | None:
    """How a run must end: as Prefect says, else as dead if its process is; None while it may live."""
    if state in OVER:
        return STATUS_OF_STATE[state]
    return DEAD if leases.is_dead(flow_run_id) else None
