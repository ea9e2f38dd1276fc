"""How the outbox reaches MLflow: in order, by one sender at a time, as often as it takes."""

import itertools
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.errors import ServiceError
from tasks.tracking import mlflow_client, recording, runs
from tasks.tracking.outbox_file import END, METRICS, OPEN, OutboxFile
from tasks.tracking.runs import RunContext

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 30.0


class Delivery:
    """Brings the records of one file into MLflow, in order; `live` from the process of the flow run itself."""

    def __init__(self, file: OutboxFile, *, live: bool = False) -> None:
        self._file, self._live = file, live
        self._children: dict[str, str] = {}
        self.run_id = ""

    def send(self) -> int:
        """Send what was not sent, and return how many records that were.

        Raises ServiceError (E-SVC-004, E-SVC-023); what was sent until then is marked.
        """
        num_sent = 0
        with self._file.sending():
            for _, group in itertools.groupby(self._file.owed(), key=_destination):
                records = list(group)
                self._deliver(records)
                self._file.mark_sent(len(records))
                num_sent += len(records)
        return num_sent

    def _deliver(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Send records of one destination."""
        kind, context = records[-1]["kind"], self._file.context()
        try:
            with mlflow_client.answering():
                if kind == END:
                    end = runs.end_fitted_runs if context.get("parent_flow_run_id") else runs.end_owned_run
                    end(mlflow_client.connect(), self._file.flow_run_id, records[-1]["status"])
                elif kind == OPEN or not self.run_id:
                    self.run_id = runs.reach_run(mlflow_client.connect(), RunContext(**context), live=self._live)
                    self._children = {}
                if kind == METRICS:
                    self._record(records, RunContext(**context))
        except ServiceError:  # runs may have been deleted by hand, so they are looked for again
            self.run_id = ""
            raise

    def _record(self, records: Sequence[Mapping[str, Any]], context: RunContext) -> None:
        name = records[0]["child"]
        if name not in self._children:
            child = recording.open_child_run(self.run_id, name, fitted_by=context, reopen=self._live)
            self._children[name] = child
        points = itertools.chain.from_iterable(record["points"] for record in records)
        recording.record_metrics(self._children[name], points)


class Sender:
    """A thread that sends from one file whenever it is woken, and again at growing intervals after a failure.

    It ends with its process: what it has not sent is in the file.
    """

    def __init__(self, file: OutboxFile, *, live: bool = False) -> None:
        self.delivery = Delivery(file, live=live)
        self._thread = threading.Thread(target=self._run, name=f"mlflow-{file.flow_run_id[:8]}", daemon=True)
        self._work, self._stopping = threading.Event(), threading.Event()

    def wake(self) -> None:
        """Tell that there is something to send."""
        self._work.set()
        if self._thread.ident is None:
            self._thread.start()

    def stop(self, limit_s: float) -> None:
        """Let one last attempt end, and wait for it for at most a time."""
        self._stopping.set()
        self._work.set()
        if self._thread.ident is not None:
            self._thread.join(limit_s)

    def _run(self) -> None:
        failures = 0
        while True:
            self._work.wait()
            self._work.clear()
            last = self._stopping.is_set()
            failures = 0 if self._send(warns=failures == 0) else failures + 1
            if last:
                return
            if failures:
                self._stopping.wait(min(FIRST_PAUSE_S * 2 ** (failures - 1), LAST_PAUSE_S))
                self._work.set()

    def _send(self, *, warns: bool) -> bool:
        try:
            self.delivery.send()
        except Exception as error:
            if warns:
                logger.warning(
                    "MLflow's records are kept in mlruns/outbox and sent when it answers. %s",
                    error,
                    exc_info=not isinstance(error, ServiceError),
                )
            return False
        return True


def _destination(record: Mapping[str, Any]) -> tuple[str, str]:
    """What is sent in one go: points of one candidate."""
    return record["kind"], record.get("child", "")
