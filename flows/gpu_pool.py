"""Where candidates are fitted: on the GPU pool if a worker of it is online, else in this process, one after another.

A fit on the pool builds its artefact in the store that both sides share, under the key that this side would give it.
So nothing but references travels, a fit that was lost goes on from its checkpoint, and what is done is found here.
"""

import dataclasses
import logging
import time
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling, Crashed

from tasks.contract.candidate import Candidate
from tasks.contract.kind import Kind
from tasks.errors import IntegrityError, ServiceError, quoted
from tasks.fit import find_fitted, find_tracked, fit
from tasks.progress import Progress, emit, listening
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.tracking import leases, outbox
from tasks.tracking.runs import RunContext

logger = logging.getLogger(__name__)

DEPLOYMENT = "fit/fit"
POLL_S = 1.0
MAX_ATTEMPTS = 2  # a lost worker is common enough to try once more, and too common to try for ever


@dataclass(frozen=True, kw_only=True)
class FitOrder:
    """Which candidates to fit on which shards, from where, for which flow run.

    initial: what all start from; starts: by name what a candidate starts from instead.
    """

    kind: Kind
    run: RunContext
    shards: Artefact
    candidates: tuple[Candidate, ...]
    initial: Artefact | None = None
    starts: Mapping[str, Artefact] = field(default_factory=dict)
    resume: bool = False
    refresh: bool = False

    def start_of(self, candidate: Candidate) -> Artefact | None:
        """What a candidate starts from; None for random weights."""
        return self.starts.get(candidate.name, self.initial)

    def continued(self) -> "FitOrder":
        """This order, tracked where its interrupted fits were, as their checkpoints tell."""
        earlier = [find_tracked(self.kind, self.shards, one, self.start_of(one)) for one in self.candidates]
        if self.run.continues or not self.resume or not any(earlier):
            return self
        run = dataclasses.replace(self.run, continues=next(filter(None, earlier)))
        return dataclasses.replace(self, run=run)

    def find(self, candidate: Candidate) -> Artefact | None:
        """The candidate's fit if it is done and may be reused."""
        return find_fitted(self.kind, self.shards, candidate, self.start_of(candidate))


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A candidate in progress: its flow run on the pool, and how often it was sent."""

    candidate: Candidate
    flow_run: FlowRun
    attempt: int = 1


def fit_all(order: FitOrder) -> list[Artefact]:
    """Fit every candidate, in the recipe's order; raises what `fit` and `fit_on_pool` raise."""
    missing = [one for one in order.candidates if order.refresh or order.find(one) is None]
    fitted_there = send_to_pool(order, missing) if missing else set()
    with outbox.tracking_epochs(order.run) as live, listening(live):
        return [fit_here(order, one, reuse=one.name in fitted_there) for one in order.candidates]


def send_to_pool(order: FitOrder, candidates: Iterable[Candidate]) -> set[str]:
    """Have candidates fitted on the GPU pool, if there is one; returns the names of those that were."""
    with get_client(sync_client=True) as client:
        pool = find_pool(client)
        if not pool:
            return set()
        run = dataclasses.replace(order.run, mlflow_run=outbox.announce(order.run))
        return fit_on_pool(client, pool, dataclasses.replace(order, run=run), candidates)


def fit_here(order: FitOrder, candidate: Candidate, *, reuse: bool) -> Artefact:
    """Fit a candidate in this process, or find it if it was fitted on the pool or by an earlier run."""
    with artefacts.refreshing(order.refresh and not reuse):
        return fit(
            order.kind,
            order.shards,
            candidate,
            resume=order.resume,
            initial=order.start_of(candidate),
            tracked_as=order.run.flow_run_id,
        )


def find_pool(client: SyncPrefectClient) -> str:
    """Name the work pool that takes fits; empty if nothing is deployed or no worker of it is online."""
    try:
        pool = client.read_deployment_by_name(DEPLOYMENT).work_pool_name or ""
    except ObjectNotFound:
        return ""
    if pool and not is_online(client, pool):
        logger.warning("No worker of the pool %s is online, so candidates are fitted here.", pool)
        return ""
    return pool


def is_online(client: SyncPrefectClient, pool: str) -> bool:
    """Tell whether a work pool has a living worker."""
    return any(worker.status == "ONLINE" for worker in client.read_workers_for_work_pool(pool))


def fit_on_pool(client: SyncPrefectClient, pool: str, order: FitOrder, candidates: Iterable[Candidate]) -> set[str]:
    """Send candidates to the pool and wait for all of them; returns the names of those fitted there.

    One that finds no worker any more comes back to be fitted here. The others go on when one is lost.
    Raises ServiceError (E-FIT-001) for candidates lost on every attempt or stopped by a failure,
    IntegrityError (E-FIT-002) if the worker's artefact is not the one asked for.
    """
    waiting = [send(order, candidate) for candidate in candidates]
    fitted: set[str] = set()
    lost: dict[str, State] = {}
    try:
        while waiting:
            time.sleep(POLL_S)
            for sent in list(waiting):
                state = look_after(client, pool, sent)
                if state is None:
                    continue
                waiting.remove(sent)
                name = sent.candidate.name
                if state.is_completed():
                    fitted.add(_checked(order, sent.candidate))
                elif state.is_crashed() and sent.attempt < MAX_ATTEMPTS:
                    logger.warning("The fit of %s was lost (%s); sending it again.", name, state.message)
                    waiting.append(send(order, sent.candidate, attempt=sent.attempt + 1))
                elif state.name != RETURNED:
                    lost[name] = state
    finally:
        recall(client, waiting)
    _refuse_lost(lost)
    return fitted


RETURNED = "Returned"


def send(order: FitOrder, candidate: Candidate, attempt: int = 1) -> Sent:
    """Queue a candidate on the pool as a child of this flow run."""
    initial = order.start_of(candidate)
    parameters = {
        "shards": order.shards.reference,
        "kind": order.kind.name,
        "candidate": candidate.model_dump(mode="json"),
        "resume": order.resume or attempt > 1,
        "refresh": order.refresh and attempt == 1,
        "initial": "" if initial is None else initial.reference,
        "parent": order.run.flow_run_id,
        "mlflow_run": order.run.mlflow_run,
    }
    flow_run = run_deployment(
        DEPLOYMENT,
        parameters=parameters,
        timeout=0,
        flow_run_name=f"{order.run.flow_run_name}-{candidate.name}",
        tags=[order.run.recipe],
    )
    assert not isinstance(flow_run, Coroutine), "outside an event loop it waits"
    emit(Progress("fit", candidate.name, note="queued on the GPU pool"))
    return Sent(candidate=candidate, flow_run=flow_run, attempt=attempt)


def look_after(client: SyncPrefectClient, pool: str, sent: Sent) -> State | None:
    """Return how a fit on the pool ended; None while it may still end well.

    One whose process died is crashed at once, without waiting for missed heartbeats.
    """
    flow_run = client.read_flow_run(sent.flow_run.id)
    state = flow_run.state
    assert state is not None, "Prefect gives every run a state"
    if state.is_final():
        return state
    if state.is_running() and leases.is_dead(str(flow_run.id)):
        client.set_flow_run_state(flow_run.id, Crashed(message="The process of this run died."), force=True)
    elif state.type in (StateType.SCHEDULED, StateType.PENDING) and not is_online(client, pool):
        logger.warning("No worker of the pool %s is left, so %s is fitted here.", pool, sent.candidate.name)
        client.set_flow_run_state(flow_run.id, Cancelled(name=RETURNED), force=True)
    return None


def recall(client: SyncPrefectClient, waiting: Iterable[Sent]) -> None:
    """Stop what is left on the pool when this run ends early."""
    for sent in waiting:
        state = client.read_flow_run(sent.flow_run.id).state
        if state is not None and not state.is_final():
            stop = Cancelling() if state.is_running() else Cancelled()
            client.set_flow_run_state(sent.flow_run.id, stop)


def _checked(order: FitOrder, candidate: Candidate) -> str:
    if order.find(candidate) is None:
        raise IntegrityError(
            "E-FIT-002",
            f"the worker fitted candidate {quoted(candidate.name)} under a different key than this run.",
            fix="give both the same project folder (RNNFLOW_HOME), code and library versions.",
        )
    return candidate.name


def _refuse_lost(lost: dict[str, State]) -> None:
    if lost:
        reasons = "; ".join(f"{name}: {state.name}, {quoted(state.message or '')}" for name, state in lost.items())
        raise ServiceError(
            "E-FIT-001",
            f"not all candidates were fitted on the GPU pool ({reasons}).",
            fix="retry this run: finished fits are kept, and an interrupted one continues from its checkpoint.",
        )
