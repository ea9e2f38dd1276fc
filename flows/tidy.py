"""The flow that closes what the dead left open, in Prefect and in MLflow, and sends what MLflow is still owed."""

import logging
from collections.abc import Callable

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client

from flows.lifecycle import LIFECYCLE
from flows.place.dead_runs import cancel_lost_fits, crash_dead_runs, reading_states
from flows.sync import synchronize
from tasks.errors import IntegrityError, RnnflowError, ServiceError
from tasks.store import leftovers
from tasks.tracking import leases, mlflow_client, orphans, outbox
from tasks.tracking.orphans import StateOf

logger = logging.getLogger(__name__)

NEWLINE = "\n"

# What each entry of the summary says, in the order of work.
ENTRIES = {
    "crashed": "flow runs whose process had died, or that were cancelled before they began",
    "cancelled": "fits whose training run is over",
    "ended": "flow runs whose MLflow run was still owed an end",
    "closed": "MLflow runs that were left running",
    "sent": "deliveries to MLflow",
    "registered": "registrations made up for",
    "aliases": "models whose aliases were restored from the ledger",
    "broken": "models whose champion is gone",
    "foreign": "models left alone, as another ledger decides",
    "deleted": "half-built artefacts older than a week",
    "failures": "what could not be done",
}


@flow(name="tidy", **LIFECYCLE)
def tidy() -> dict:
    """Close what killed processes left open: flow runs, MLflow runs, GPU slots; send what MLflow missed."""
    summary = tidy_up(thorough=True)
    create_markdown_artifact(describe(summary), key="tidy", description="What was closed, sent and deleted.")
    return summary


def tidy_up(*, thorough: bool = False) -> dict:
    """Close and send; returns what was done, under the names of `ENTRIES`, in JSON values. Needs PREFECT_API_URL.

    Unless `thorough` it is what a command can do before its own work: MLflow is sent pending records for at most 10 s,
    and else not asked. A step that fails is named among `failures` and stops none of the others.
    """
    summary: dict = {name: [] for name in ENTRIES}
    with get_client(sync_client=True) as client:
        state_of = reading_states(client)
        steps: dict[str, Callable[[], list[str]]] = {
            "crashed": lambda: crash_dead_runs(client),
            "cancelled": lambda: cancel_lost_fits(client),
            "ended": lambda: orphans.note_ends(state_of),
            "sent": lambda: _synchronize(summary) if thorough else _send_briefly(),
        }
        if thorough:
            steps["closed"] = lambda: [] if mlflow_client.is_absent() else orphans.end_orphans(state_of)
            steps |= {"aliases": lambda: _reconcile_aliases(summary), "deleted": leftovers.delete_stale_partials}
        for name, work in steps.items():
            _attempt(summary, name, work)
        _discard_leases(state_of)
    return summary


def describe(summary: dict) -> str:
    """Say in Markdown what was done; nothing to do is worth a sentence."""
    lines = [
        f"- {ENTRIES[name]} ({len(found)}): {', '.join(one.replace(NEWLINE, ' ') for one in found)}"
        for name, found in summary.items()
        if found
    ]
    return "\n".join(lines) or "Nothing was left open."


def exit_status_of(summary: dict) -> int:
    """How a command ends: 3 if a champion is gone, 5 if something could not be done or another ledger decides."""
    if summary["broken"]:
        return IntegrityError.exit_code
    return ServiceError.exit_code if summary["failures"] or summary["foreign"] else 0


def _attempt(summary: dict, name: str, work: Callable[[], list[str]]) -> None:
    try:
        summary[name] = work()
    except RnnflowError as error:
        logger.warning("%s", error)
        summary["failures"].append(error.problem)


def _synchronize(summary: dict) -> list[str]:
    synchronized = synchronize()
    summary["registered"] = synchronized.finished
    summary["failures"] += synchronized.failures
    if synchronized.replayed.failure is not None:
        raise synchronized.replayed.failure
    return [synchronized.describe()] if synchronized.replayed.records else []


def _send_briefly() -> list[str]:
    outbox.replay_briefly()
    return []


def _reconcile_aliases(summary: dict) -> list[str]:
    from tasks.promotion import aliases

    findings = aliases.reconcile()
    for kind in ("broken", "foreign"):
        summary[kind] = [finding.sentence for finding in findings if finding.kind == kind]
    return [finding.sentence for finding in findings if finding.kind not in ("broken", "foreign")]


def _discard_leases(state_of: StateOf) -> None:
    """Delete the leases of flow runs that are over; what still runs elsewhere keeps its own."""
    for flow_run_id in leases.list_dead():
        if state_of(flow_run_id) in (None, *orphans.OVER):
            leases.discard(flow_run_id)
