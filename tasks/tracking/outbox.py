"""The outbox: training writes down records for MLflow, a thread sends them, and nobody waits.

While MLflow is down, slow or failing, records stay on disk (`tasks.tracking.outbox_file`) and are sent later: by the
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
from tasks.tracking.outbox_file import METRICS, OutboxFile, folder, list_files, open_file
from tasks.tracking.outbox_sender import Delivery, Sender
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
def tracking_epochs(context: RunContext) -> Generator[Listener]:
    """Lend a listener that brings each epoch of a fit into the run of its candidate, without waiting for MLflow.

    The first epoch opens the run. At the end of the block what is left is sent for at most 5 s.
    """
    file = open_file(context.flow_run_id)
    sender = Sender(file, live=True)

    def listen(event: Progress) -> None:
        if event.stage != "fit" or event.epoch is None:
            return
        runs.note_run(context)
        file.append(metrics_record(event))
        sender.wake()

    try:
        yield listen
    finally:
        sender.stop(DRAIN_LIMIT_S)


def metrics_record(event: Progress) -> dict:
    """What is written down of an epoch: its points, and when they were seen."""
    assert event.epoch is not None, "only whole epochs are written down"
    points = recording.epoch_points([{**event.figures, "epoch": event.epoch}])
    now_ms = int(time.time() * 1000)
    return {"kind": METRICS, "child": event.label, "points": [[*point[:3], now_ms] for point in points]}


def announce(context: RunContext) -> str:
    """Open a flow run's MLflow run before anything is recorded in it, so that guests find it.

    Returns its id; empty if MLflow has not answered within 10 s, in which case it is opened later.
    """
    runs.note_run(context)
    sender = Sender(open_file(context.flow_run_id), live=True)
    sender.wake()
    sender.stop(END_LIMIT_S)
    return sender.delivery.run_id


def settle(context: RunContext) -> None:
    """Wait until MLflow answers promptly, and send all that waits for it of a flow run.

    What is recorded afterwards then adds only what is missing. Raises ServiceError (E-SVC-004).
    """
    mlflow_client.wait_until_answering()
    Delivery(open_file(context.flow_run_id), live=True).send()


def end_run(flow_run_id: str, state_type: str) -> None:
    """End a flow run's MLflow run as Prefect's state says; it is ended later if MLflow does not answer within 10 s.

    A flow run that opened none costs nothing.
    """
    file = open_file(flow_run_id)
    if not file.exists():
        return
    file.end(STATUS_OF_STATE[state_type])
    sender = Sender(file)
    sender.wake()
    sender.stop(END_LIMIT_S)
    if left := len(file.owed()):
        logger.warning("Pending sync: %d records wait for MLflow. `rnnflow sync` sends them.", left)


def pending(flow_run_id: str = "") -> int:
    """Count the records that MLflow does not hold yet, of one flow run or of all."""
    files = [open_file(flow_run_id)] if flow_run_id else list_files()
    return sum(len(file.owed()) for file in files)


def replay() -> Replayed:
    """Send all that waits for the store in use; a failure of one flow run does not stop the others."""
    failure: ServiceError | None = None
    sent: list[int] = []
    try:
        if pending() or deferred():
            mlflow_client.ask()
    except ServiceError as error:
        return Replayed(records=0, runs=0, pending=pending(), failure=error)
    for file in sorted(list_files(), key=_is_guest):
        try:
            sent.append(Delivery(file).send())
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
    orders = [json.loads(path.read_bytes()) for path in (folder() / "deferred").glob("*.json")]
    return sorted(orders, key=lambda order: order["created"])


def forget(order: dict) -> None:
    """Drop an order that was carried out."""
    _deferred_path(order["flow_run_id"]).unlink(missing_ok=True)


def _is_guest(file: OutboxFile) -> bool:
    """Guests come last: the runs they belong below are opened by the others."""
    return bool(file.context().get("parent_flow_run_id"))


def _deferred_path(flow_run_id: str) -> Path:
    return folder() / "deferred" / f"{mlflow_client.check_name(flow_run_id, what='flow run id')}.json"
