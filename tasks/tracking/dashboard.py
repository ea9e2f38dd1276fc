"""What Prefect's dashboard shows of a run: live progress of each fit, the results, and the link to MLflow.

Outside a Prefect run nothing is shown, so stages and tests work without a server.
"""

import time
from collections.abc import Coroutine, Sequence
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.utilities.urls import url_for

from tasks.progress import Listener, Progress
from tasks.tracking.runs import RunContext

SECONDS_BETWEEN_UPDATES = 3.0


def flow_run_id() -> str:
    """The id of the Prefect flow run this code is part of; empty outside one."""
    run = _flow_run()
    return "" if run is None else str(run.id)


def _flow_run() -> FlowRun | None:
    context = FlowRunContext.get()
    return None if context is None else context.flow_run


def _own_flow_run() -> FlowRun:
    """The flow run this code is part of, where it is known to be part of one."""
    run = _flow_run()
    assert run is not None
    return run


def run_context(recipe: str, **tracked_in: str) -> RunContext:
    """Name the flow run to MLflow: Prefect's id, name and page of it, and where it is `tracked_in` if that is known."""
    run = _own_flow_run()
    page = url_for("flow-run", obj_id=run.id) or ""
    return RunContext(recipe=recipe, flow_run_id=str(run.id), flow_run_name=run.name, flow_run_url=page, **tracked_in)


def is_retry() -> bool:
    """Tell whether Prefect runs this flow run again, after it failed or crashed."""
    return _own_flow_run().run_count > 1


def progress_bars() -> Listener:
    """A listener that keeps one progress artifact per candidate, updated every few seconds."""
    artifacts: dict[str, UUID] = {}
    shown_s: dict[str, float] = {}

    def listen(event: Progress) -> None:
        if event.stage != "fit" or not event.total or not flow_run_id():
            return
        percent = 100 * event.done / event.total
        if event.label not in artifacts:
            created = create_progress_artifact(percent, key=artifact_key(f"fit-{event.label}"))
            assert not isinstance(created, Coroutine), "outside an event loop it waits"
            artifacts[event.label] = created
        elif event.done >= event.total or time.monotonic() - shown_s[event.label] >= SECONDS_BETWEEN_UPDATES:
            update_progress_artifact(artifacts[event.label], percent, description=_describe(event))
        else:
            return
        shown_s[event.label] = time.monotonic()

    return listen


def show_results(
    table: Sequence[dict], *, memory: Sequence[dict], summary: str, verdict: str, mlflow_run: str, mlflow_page: str
) -> None:
    """Attach results, memory, summary, verdict and the link to MLflow; tag the flow run with the MLflow run.

    The dashboard shows descriptions before an artifact is opened, so they say what matters most.
    """
    if not flow_run_id():
        return
    link_text = f"{_own_flow_run().name} in MLflow"
    create_table_artifact(list(table), key="results", description="Candidates and baseline, with their intervals.")
    if memory:
        told = "How many steps back the candidates remember, and how often their gradients were clipped."
        create_table_artifact(list(memory), key="memory", description=told)
    create_markdown_artifact(summary, key="summary", description=summary.partition("\n")[0])
    create_markdown_artifact(verdict, key="verdict", description=verdict.partition("\n")[0])
    create_link_artifact(mlflow_page, link_text=link_text, key="mlflow", description=f"[{link_text}]({mlflow_page})")
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(UUID(flow_run_id()))
        client.update_flow_run(run.id, tags={*run.tags, f"mlflow:{mlflow_run}"})


def artifact_key(name: str) -> str:
    """Turn a name into the form Prefect asks of a key: lower-case letters, digits and dashes."""
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower())


def _describe(event: Progress) -> str:
    figures = ", ".join(f"{name} {value:.4g}" for name, value in event.figures.items())
    return f"{event.label}: epoch {event.done:.2f} of {event.total:g}; {figures}"
