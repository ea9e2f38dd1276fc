"""Take a place down: end its flow runs in a final state, then its workers and servers, and leave no process behind."""

import time
from dataclasses import dataclass

from rich.console import Console

from flows.place.parts import parts_of
from flows.place.processes import end_processes, flow_runs_of_place, processes_of_place
from flows.place.settings import PlaceSettings, load_settings, mlflow_address_file
from flows.place.supervision import is_supervised, stop_parts, stop_supervisor
from flows.place.up import sole_change
from flows.prefect_api import UNFINISHED, answers, ask, read_state, set_state

CANCEL_LIMIT_S = 45  # a fit ends its step and writes a checkpoint
POLL_S = 0.2
CANCELLING = {"type": "CANCELLING", "message": "The place goes down."}
CRASHED = {"type": "CRASHED", "message": "The place went down, and the run did not end in time."}


@dataclass(frozen=True, kw_only=True)
class Departure:
    """What `down` ended: whether anything ran, and the final state of each flow run that was under way."""

    was_up: bool
    flow_runs: dict[str, str]


def take_down(console: Console) -> Departure:
    """End everything this place started; running flows are cancelled first, which keeps what they finished."""
    with sole_change(), console.status("Looking at what runs") as status:
        was_up = is_supervised() or bool(processes_of_place())
        settings = load_settings()
        reachable = settings is not None and answers(settings.prefect_api)
        flow_runs = set(flow_runs_of_place())
        if flow_runs and reachable:
            status.update(f"Cancelling {len(flow_runs)} flow runs")
            cancel_flow_runs(settings, flow_runs)
        status.update("Stopping workers")
        flow_runs |= _end_workers(settings)
        ends = close_flow_runs(settings, flow_runs) if reachable else dict.fromkeys(flow_runs, "unknown")
        status.update("Stopping servers")
        if is_supervised():
            stop_supervisor()
        end_processes(processes_of_place())
        mlflow_address_file().unlink(missing_ok=True)
    return Departure(was_up=was_up, flow_runs=ends)


def cancel_flow_runs(settings: PlaceSettings, flow_runs: set[str]) -> None:
    """Cancel flow runs as the dashboard does, and wait a while until their workers have seen to it."""
    for flow_run in flow_runs:
        if read_state(settings.prefect_api, flow_run) in UNFINISHED:
            set_state(settings.prefect_api, flow_run, CANCELLING)
    deadline = time.monotonic() + CANCEL_LIMIT_S
    open_runs = set(flow_runs)
    while open_runs and time.monotonic() < deadline:
        time.sleep(POLL_S)
        open_runs = {flow_run for flow_run in open_runs if read_state(settings.prefect_api, flow_run) in UNFINISHED}


def close_flow_runs(settings: PlaceSettings, flow_runs: set[str]) -> dict[str, str]:
    """Give those that are still open the state Crashed; returns the final state of each."""
    ends = {}
    for flow_run in sorted(flow_runs):
        if read_state(settings.prefect_api, flow_run) in UNFINISHED:
            set_state(settings.prefect_api, flow_run, CRASHED, force=True)
        ends[flow_run] = read_state(settings.prefect_api, flow_run)
    return ends


def _end_workers(settings: PlaceSettings | None) -> set[str]:
    """Stop workers and what is left of flow runs; returns the flow runs whose process had to be ended."""
    workers = [part for part in parts_of(settings) if part.is_worker] if settings else []
    late = flow_runs_of_place()
    if is_supervised():
        stop_parts([worker.name for worker in workers])
    late |= flow_runs_of_place()
    end_processes([process for processes in late.values() for process in processes])
    for worker in workers:
        _forget_worker(settings, worker.pool, worker.name)
    return set(late)


def _forget_worker(settings: PlaceSettings, pool: str, name: str) -> None:
    """Remove a worker that has ended from the pool's list, where it would count as online for a while."""
    workers = f"{settings.prefect_api}/work_pools/{pool}/workers"
    if answers(settings.prefect_api) and any(worker["name"] == name for worker in ask(f"{workers}/filter", {})):
        ask(f"{workers}/{name}", method="DELETE")
