"""Take a place down: end its flow runs in a final state, then its workers and servers, and leave no process behind."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
from rich.console import Console

from flows.place.missed import CRASHED
from flows.place.parts import parts_of
from flows.place.prefect_api import SILENCE, UNFINISHED, ask, read_state, set_state, worker_heartbeats
from flows.place.processes import end_processes, flow_runs_of_place, processes_of_part, processes_of_place
from flows.place.settings import PlaceSettings, load_settings, mlflow_address_file, sole_change
from flows.place.supervision import is_supervised, stop_parts, stop_supervisor

CANCEL_LIMIT_S = 45  # a fit ends its step and writes a checkpoint
POLL_S = 0.2
CANCELLING = {"type": "CANCELLING", "message": "The place goes down."}


@dataclass(frozen=True, kw_only=True)
class Departure:
    """What `down` ended: whether anything ran, and the final state of each flow run that was under way."""

    was_up: bool
    flow_runs: dict[str, str]


def take_down(console: Console) -> Departure:
    """End everything this place started; everything that is stored stays."""
    with sole_change(), console.status("Looking at what runs") as status:
        was_up = is_supervised() or bool(processes_of_place())
        ends = end_place(status.update)
    return Departure(was_up=was_up, flow_runs=ends)


def end_place(tell: Callable[[str], None]) -> dict[str, str]:
    """End flow runs, workers and servers, in this order; returns the final state of each flow run under way.

    Flow runs are cancelled as in the dashboard, so that they close what they opened; servers see their last words.
    """
    settings = load_settings()
    ends = {} if settings is None else _end_work(settings, tell)
    tell("Stopping servers")
    if is_supervised():
        stop_supervisor()
    end_processes(processes_of_place())
    mlflow_address_file().unlink(missing_ok=True)
    return ends


def _end_work(settings: PlaceSettings, tell: Callable[[str], None]) -> dict[str, str]:
    """End flow runs and workers; a server that is silent is told nothing, and the next `up` closes what it holds."""
    flow_runs = set(flow_runs_of_place())
    with contextlib.suppress(*SILENCE):
        tell(f"Cancelling {len(flow_runs)} flow runs")
        cancel_flow_runs(settings, flow_runs)
    tell("Stopping workers")
    flow_runs |= _end_workers(settings)
    try:
        _forget_workers(settings)
        return close_flow_runs(settings, flow_runs)
    except SILENCE:
        return dict.fromkeys(flow_runs, "UNKNOWN")


def cancel_flow_runs(settings: PlaceSettings, flow_runs: set[str]) -> None:
    """Cancel flow runs as the dashboard does, and wait a while until their workers have seen to it."""
    for flow_run in flow_runs:
        if read_state(settings.prefect_api, flow_run) in UNFINISHED:
            set_state(settings.prefect_api, flow_run, CANCELLING)
    deadline = time.monotonic() + CANCEL_LIMIT_S
    open_runs = set(flow_runs)
    while open_runs and worker_processes(settings) and time.monotonic() < deadline:
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


def worker_processes(settings: PlaceSettings) -> list[psutil.Process]:
    """The living workers, which alone can see to a cancellation."""
    return [process for part in parts_of(settings) if part.is_worker for process in processes_of_part(part.name)]


def _end_workers(settings: PlaceSettings) -> set[str]:
    """Stop workers and what is left of their flow runs; returns the flow runs whose process had to be ended."""
    late = flow_runs_of_place()
    if is_supervised():
        stop_parts([part.name for part in parts_of(settings) if part.is_worker])
    end_processes(worker_processes(settings))
    late |= flow_runs_of_place()
    end_processes([process for processes in late.values() for process in processes])
    return set(late)


def _forget_workers(settings: PlaceSettings) -> None:
    """Remove workers that have ended from the lists of their pools, where they would count as online for a while."""
    for part in parts_of(settings):
        workers = f"{settings.prefect_api}/work_pools/{part.pool}/workers"
        if part.is_worker and part.name in worker_heartbeats(settings.prefect_api, part.pool):
            ask(f"{workers}/{part.name}", method="DELETE")
