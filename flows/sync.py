"""What `rnnflow sync` and the flow `tidy` make up for once MLflow answers again: records, then whole registrations."""

import contextlib
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tasks.errors import RnnflowError, ServiceError, plural
from tasks.tracking import outbox
from tasks.tracking.outbox import Replayed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Synchronized:
    """What was sent, what was finished by it, and why anything is left."""

    replayed: Replayed
    finished: list[str]
    failures: list[str]

    @property
    def is_complete(self) -> bool:
        """Tell whether all went well; a run that is being fitted may have noted more since."""
        return not self.failures and self.replayed.failure is None

    def describe(self) -> str:
        """One line: `sent 12 records of 1 run; registered reviews/4 as champion`."""
        sent = f"sent {plural(self.replayed.records, 'record')} of {plural(self.replayed.runs, 'run')}"
        return "; ".join([sent, *self.finished])

    def check(self) -> None:
        """Raise ServiceError (E-SVC-020) if anything is left."""
        if not self.is_complete:
            left = f"{plural(self.replayed.pending, 'record')} and {plural(len(outbox.deferred()), 'registration')}"
            failure = self.replayed.failure
            why = "; ".join(map(str.strip, self.failures)) or (failure.problem if failure else "")
            raise ServiceError("E-SVC-020", f"{left} still pending: {why}", fix="fix that, then run: rnnflow sync")


def synchronize(server: Callable[[], AbstractContextManager] = contextlib.nullcontext) -> Synchronized:
    """Send what waits, then carry out what was deferred, which takes a Prefect server; one that fails is kept."""
    replayed = outbox.replay()
    if replayed.failure is not None or not outbox.deferred():
        return Synchronized(replayed=replayed, finished=[], failures=[])
    with server():
        finished, failures = finish_deferred_orders()
    return Synchronized(replayed=replayed, finished=finished, failures=failures)


def finish_deferred_orders() -> tuple[list[str], list[str]]:
    """Carry out what MLflow's absence has stopped; returns what was done, and why the rest was not."""
    finished, failures = [], []
    for order in outbox.deferred():
        from flows.train import finish_deferred

        try:
            finished.append(finish_deferred(order))
            outbox.forget(order)
        except RnnflowError as error:
            failures.append(error.problem)
        except Exception as error:
            logger.exception("The deferred end of flow run %s failed.", order["flow_run_id"])
            failures.append(f"{type(error).__name__}: {error}")
    return finished, failures
