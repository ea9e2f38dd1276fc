"""How journals reach MLflow: in order, by one sender at a time, as often as it takes."""

import itertools
import logging
import threading
from collections.abc import Callable, Sequence

from tasks.errors import ServiceError
from tasks.tracking import mlflow_client, recording, runs
from tasks.tracking.journal import END, METRICS, OPEN, Journal
from tasks.tracking.runs import RunContext

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 30.0


class Delivery:
    """Brings the records of one journal into MLflow, in order; `live` from the process of the flow run itself."""

    def __init__(self, journal: Journal, *, live: bool = False) -> None:
        self._journal, self._live = journal, live
        self._context: RunContext | None = None
        self._children: dict[str, str] = {}
        self.run_id = ""

    def send(self, keep_going: Callable[[], bool] = lambda: True) -> int:
        """Send what was not sent, and return how many records that were.

        Raises ServiceError (E-SVC-004, E-SVC-023); what was sent until then is marked.
        """
        num_sent = 0
        with self._journal.sending() as outbox:
            sent, unsent = outbox.split_records()
            self._remember_context(sent)
            for _, group in itertools.groupby(unsent, key=_destination):
                if not keep_going():
                    break
                numbers, records = zip(*group, strict=True)
                self._deliver(records)
                outbox.mark_sent(numbers[-1])
                num_sent += len(records)
        return num_sent

    def _remember_context(self, sent: list[dict]) -> None:
        contexts = [record["context"] for record in sent if record.get("kind") == OPEN]
        if contexts:
            self._context = RunContext(**contexts[-1])

    def _deliver(self, records: Sequence[dict]) -> None:
        deliver = {OPEN: self._open, METRICS: self._record, END: self._end}[records[-1]["kind"]]
        try:
            with mlflow_client.answering():
                deliver(records)
        except ServiceError:  # runs may have been deleted by hand, so they are looked for again
            self.run_id, self._children = "", {}
            raise

    def _open(self, records: Sequence[dict]) -> None:
        context = RunContext(**records[-1]["context"])
        self._context, self._children = context, {}
        self.run_id = runs.reach_run(mlflow_client.connect(), context, live=self._live)

    def _record(self, records: Sequence[dict]) -> None:
        assert self._context is not None, "a journal begins with its run"
        name = records[0]["child"]
        self.run_id = self.run_id or runs.reach_run(mlflow_client.connect(), self._context, live=self._live)
        if name not in self._children:
            child = recording.open_child_run(self.run_id, name, fitted_by=self._context, reopen=self._live)
            self._children[name] = child
        points = itertools.chain.from_iterable(record["points"] for record in records)
        recording.record_metrics(self._children[name], points)

    def _end(self, records: Sequence[dict]) -> None:
        assert self._context is not None, "a journal begins with its run"
        end = runs.end_fitted_runs if self._context.parent_flow_run_id else runs.end_owned_run
        end(mlflow_client.connect(), self._journal.flow_run_id, records[-1]["status"])


class Sender:
    """A thread that sends from one journal whenever it is woken, and again at growing intervals after a failure.

    It ends with its process: what it has not sent is in the journal.
    """

    def __init__(self, journal: Journal, *, live: bool = False) -> None:
        self.delivery = Delivery(journal, live=live)
        self._thread = threading.Thread(target=self._run, name=f"mlflow-{journal.flow_run_id[:8]}", daemon=True)
        self._work, self._stopping, self._abandoned = threading.Event(), threading.Event(), threading.Event()
        self._is_failing = False

    def wake(self) -> None:
        """Tell that there is something to send."""
        self._work.set()
        if self._thread.ident is None:
            self._thread.start()

    def stop(self, limit_s: float) -> None:
        """Let one last attempt end, or give it up after a time."""
        self._stopping.set()
        self._work.set()
        if self._thread.ident is not None:
            self._thread.join(limit_s)
        self._abandoned.set()

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            self._work.wait()
            self._work.clear()
            last = self._stopping.is_set()
            if self._send():
                pause_s = FIRST_PAUSE_S
            elif not last:
                self._stopping.wait(pause_s)
                pause_s = min(2 * pause_s, LAST_PAUSE_S)
                self._work.set()
            if last:
                return

    def _send(self) -> bool:
        try:
            self.delivery.send(lambda: not self._abandoned.is_set())
        except Exception as error:
            if not self._is_failing:
                logger.warning(
                    "MLflow's records are kept in mlruns/spool and sent when it answers. %s",
                    error,
                    exc_info=not isinstance(error, ServiceError),
                )
            self._is_failing = True
            return False
        self._is_failing = False
        return True


def _destination(numbered: tuple[int, dict]) -> tuple[str, str]:
    """What is sent in one go: points of one candidate."""
    _, record = numbered
    return record["kind"], record.get("child", "")
