"""The write-behind spool: training writes down what MLflow must learn, a thread sends it, and nobody waits.

While MLflow is down, slow or failing, records stay in the journal (`tasks.tracking.journal`) and are sent later: by the
thread, which tries again at growing intervals, by the next process that replays, or by `rnnflow sync`. Sending again
changes nothing: a point carries the time at which it was seen, and only what a run lacks is added.
"""

import contextlib
import datetime
import json
import logging
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from rnnmodels.durable import write_durably
from tasks.errors import ServiceError
from tasks.progress import Listener, Progress
from tasks.tracking import mlflow_client, recording, runs
from tasks.tracking.delivery import Delivery, Sender
from tasks.tracking.journal import METRICS, Journal, list_journals, open_journal
from tasks.tracking.runs import STATUS_OF_STATE, RunContext

logger = logging.getLogger(__name__)

DRAIN_LIMIT_S = 5.0
END_LIMIT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a replay sent, of how many runs; what is left, and why."""

    records: int
    runs: int
    pending: int
    failure: ServiceError | None = None


@contextlib.contextmanager
def spooling(context: RunContext) -> Generator[Listener]:
    """Lend a listener that brings each epoch of a fit into the run of its candidate, without waiting for MLflow.

    The first epoch opens the run. At the end of the block what is left is sent for at most 5 s.
    """
    journal = open_journal(context.flow_run_id)
    sender = Sender(journal, live=True)

    def listen(event: Progress) -> None:
        if event.stage != "fit" or event.epoch is None:
            return
        runs.journal_run(context)
        journal.append(metrics_record(event))
        sender.wake()

    try:
        yield listen
    finally:
        sender.stop(DRAIN_LIMIT_S)


def metrics_record(event: Progress) -> dict:
    """What is journaled of an epoch: its points, and when they were seen."""
    assert event.epoch is not None, "only whole epochs are journaled"
    points = recording.epoch_points([{**event.figures, "epoch": event.epoch}])
    now_ms = int(time.time() * 1000)
    return {"kind": METRICS, "child": event.label, "points": [[*point[:3], now_ms] for point in points]}


def announce(context: RunContext) -> str:
    """Open a flow run's MLflow run before anything is recorded in it, so that guests find it.

    Returns its id; empty if MLflow has not answered within 10 s, in which case it is opened later.
    """
    runs.journal_run(context)
    sender = Sender(open_journal(context.flow_run_id), live=True)
    sender.wake()
    sender.stop(END_LIMIT_S)
    return sender.delivery.run_id


def settle(context: RunContext) -> None:
    """Wait until MLflow answers promptly, and send all that is spooled for a flow run.

    What is recorded afterwards then adds only what is missing. Raises ServiceError (E-SVC-004).
    """
    mlflow_client.wait_until_answering()
    Delivery(open_journal(context.flow_run_id), live=True).send()


def end_run(flow_run_id: str, state_type: str) -> None:
    """End a flow run's MLflow run as Prefect's state says; it is ended later if MLflow does not answer within 10 s.

    A flow run that opened none costs nothing.
    """
    journal = open_journal(flow_run_id)
    if not journal.exists():
        return
    journal.end(STATUS_OF_STATE[state_type])
    sender = Sender(journal)
    sender.wake()
    sender.stop(END_LIMIT_S)
    if left := journal.count_pending():
        logger.warning("Pending sync: %d records wait for MLflow. `rnnflow sync` sends them.", left)


def pending(flow_run_id: str = "") -> int:
    """Count the records that MLflow does not hold yet, of one flow run or of all."""
    journals = [open_journal(flow_run_id)] if flow_run_id else list_journals()
    return sum(journal.count_pending() for journal in journals)


def replay() -> Replayed:
    """Send what every journal of the store in use holds; a failure of one does not stop the others."""
    failure = _failure_of_store() if pending() or deferred() else None
    sent: list[int] = []
    for journal in sorted(list_journals(), key=_is_guest) if failure is None else ():
        try:
            sent.append(Delivery(journal).send())
        except ServiceError as error:
            failure = error
    return Replayed(records=sum(sent), runs=sum(map(bool, sent)), pending=pending(), failure=failure)


def replay_briefly() -> None:
    """Replay for at most 10 s; what is left goes with the next replay."""
    if pending():
        thread = threading.Thread(target=replay, name="mlflow-replay", daemon=True)
        thread.start()
        thread.join(END_LIMIT_S)


def defer(order: dict) -> None:
    """Keep an order that MLflow's absence has stopped; `flow_run_id` names it, and a second one replaces the first."""
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    path = _deferred_path(order["flow_run_id"])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, json.dumps({"created": created, **order}, indent=1).encode())


def deferred() -> list[dict]:
    """Orders that wait for the store in use, the oldest first."""
    orders = [json.loads(path.read_bytes()) for path in _deferred_path("x").parent.glob("*.json")]
    return sorted(orders, key=lambda order: order["created"])


def forget(order: dict) -> None:
    """Drop an order that was carried out."""
    _deferred_path(order["flow_run_id"]).unlink(missing_ok=True)


def _failure_of_store() -> ServiceError | None:
    try:
        mlflow_client.ask()
    except ServiceError as error:
        return error
    return None


def _is_guest(journal: Journal) -> bool:
    """Guests come last: the runs they belong below are opened by the others."""
    return any(record["context"]["parent_flow_run_id"] for record in journal.read() if "context" in record)


def _deferred_path(flow_run_id: str) -> Path:
    name = mlflow_client.check_name(flow_run_id, what="flow run id")
    return open_journal(flow_run_id).path.parent / "deferred" / f"{name}.json"
