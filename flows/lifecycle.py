"""What every flow does at its start and at its end, whatever its body does: Prefect's hooks.

Prefect calls them in the process of the flow run; if that was cancelled or killed, its worker calls those for
cancelled and crashed runs instead.
"""

from typing import Any

from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow

from flows import cancellation
from tasks.tracking import leases, outbox


def begin_run(flow: Flow, flow_run: FlowRun, state: State) -> None:  # noqa: ARG001 (Prefect's names)
    """Take the lease that tells the living from the dead, and watch for a cancellation that no worker carries out."""
    leases.hold(str(flow_run.id))
    cancellation.watch(str(flow_run.id))


def end_run(flow: Flow, flow_run: FlowRun, state: State) -> None:  # noqa: ARG001 (Prefect's names)
    """End the MLflow run as the flow run ended, so that the two never disagree, and give up the lease.

    One that is still cancelling keeps its lease: its process may die before Prefect knows that it is cancelled.
    """
    was_cancelled = state.is_crashed() and cancellation.was_asked_for(str(flow_run.id))
    outbox.end_run(str(flow_run.id), "CANCELLED" if was_cancelled else state.type.value)
    if was_cancelled:
        cancellation.confirm(str(flow_run.id))
    if state.is_final():
        leases.release(str(flow_run.id))


ENDS = ("on_completion", "on_failure", "on_cancellation", "on_crashed")
LIFECYCLE: dict[str, Any] = {"on_running": [begin_run], **{end: [end_run] for end in ENDS}}
