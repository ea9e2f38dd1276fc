"""Flow runs that Prefect takes for alive: found dead by their leases and ended, so that their slots come free.

Forcing a final state releases the slot of a deployment's concurrency limit with its lease; those of work pools and
queues are counted from states. A flow run without a lease on this machine may live on another and is left alone.
"""

import datetime
from collections.abc import Callable, Iterator
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling, Crashed

from tasks.tracking import leases

PAGE = 200
STARTING_S = 60  # between the state Running and the lease lies a moment, in which an older lease may still lie there
PENDING_LIMIT_S = 600  # a process worker starts a run within seconds
CANCELLED_BEFORE = "This run was cancelled before it began."
ENDED_MEANWHILE = "The process of this run ended while it was being cancelled."
UNFINISHED = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED)


def crash_dead_runs(client: SyncPrefectClient) -> list[str]:
    """End the flow runs whose process on this machine died; returns their names."""
    alive = list(_read_runs(client, StateType.RUNNING, StateType.CANCELLING, StateType.PENDING))
    dead = [run for run in alive if _is_dead(run) or _never_began(run) or _is_stuck(client, run)]
    for run in dead:
        if _state_of(run).type == StateType.CANCELLING:
            end = Cancelled(message=CANCELLED_BEFORE if _never_began(run) else ENDED_MEANWHILE)
        else:
            end = Crashed(message="The process of this run died.")
        client.set_flow_run_state(run.id, end, force=True)
    return [run.name for run in dead]


def cancel_lost_fits(client: SyncPrefectClient) -> list[str]:
    """Stop the unfinished children of flow runs that are over; returns their names."""
    lost = [run for run in _read_runs(client, *UNFINISHED) if _is_parent_over(client, run)]
    for run in lost:
        is_running = _state_of(run).type == StateType.RUNNING  # its worker stops it
        end = (Cancelling if is_running else Cancelled)(message="The run that requested this one has ended.")
        client.set_flow_run_state(run.id, end, force=not is_running)
    return [run.name for run in lost]


def reading_states(client: SyncPrefectClient) -> Callable[[str], str | None]:
    """Return a function that tells the state type of a flow run, None if this server does not know it."""

    def state_of(flow_run_id: str) -> str | None:
        try:
            return _state_of(client.read_flow_run(UUID(flow_run_id))).type.value
        except (ObjectNotFound, ValueError):
            return None

    return state_of


def _state_of(run: FlowRun) -> State:
    assert run.state is not None, "Prefect gives every run a state"
    return run.state


def _is_dead(run: FlowRun) -> bool:
    flow_run_id = str(run.id)
    if _state_of(run).type == StateType.PENDING or not leases.is_dead(flow_run_id):
        return False
    taken = leases.acquired_at(flow_run_id)
    is_older = taken is None or taken < _state_of(run).timestamp
    return not (is_older and _state_of(run).type == StateType.RUNNING and _age_s(_state_of(run)) < STARTING_S)


def _never_began(run: FlowRun) -> bool:
    """Tell whether a run is being cancelled that has no process to end; one that starts yet finds it cancelled."""
    return _state_of(run).type == StateType.CANCELLING and run.start_time is None and run.run_count == 0


def _is_stuck(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Tell whether a worker died before it started the run; a container may take its time to start."""
    if _state_of(run).type != StateType.PENDING or _age_s(_state_of(run)) < PENDING_LIMIT_S:
        return False
    return run.work_pool_name is None or client.read_work_pool(run.work_pool_name).type == "process"


def _is_parent_over(client: SyncPrefectClient, run: FlowRun) -> bool:
    if run.parent_task_run_id is None:
        return False
    try:
        parent_id = client.read_task_run(run.parent_task_run_id).flow_run_id
        return parent_id is not None and _state_of(client.read_flow_run(parent_id)).is_final()
    except ObjectNotFound:  # its history was deleted
        return False


def _read_runs(client: SyncPrefectClient, *types: StateType) -> Iterator[FlowRun]:
    of_type = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types))))
    for offset in range(0, 10**9, PAGE):
        page = client.read_flow_runs(flow_run_filter=of_type, limit=PAGE, offset=offset)
        yield from page
        if len(page) < PAGE:
            return


def _age_s(state: State) -> float:
    return (datetime.datetime.now(datetime.UTC) - state.timestamp).total_seconds()
