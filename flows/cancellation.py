"""A flow run that is to be cancelled stops itself if nobody stops it.

Prefect leaves it to the worker that started a run to end its process. If that worker is dead, the process would go on
for minutes, and might register a model that nobody wants any more. So a run on a worker asks now and then. What it
prints goes to its worker, and whoever prints to a dead one ends: Prefect's log ends the process at a broken pipe, in
the middle of whatever it says, so that the run would never get its last state.
"""

import datetime
import os
import select
import signal
import threading
import time
from pathlib import Path

from prefect.settings import PREFECT_API_URL

from flows.place.prefect_api import SILENCE, ask, set_state

POLL_S = 15.0
GRACE_S = 45.0  # a living worker ends a process at once, and kills it 30 s later
OWN_RUN = "PREFECT__FLOW_RUN_ID"
OUTPUTS = (1, 2)  # of a process
CANCELLED = {"type": "CANCELLED", "message": "The run was cancelled and ended by itself."}


def watch(flow_run_id: str) -> None:
    """Look after a flow run that has this process to itself, as one on a worker does."""
    if os.environ.get(OWN_RUN) == flow_run_id:
        threading.Thread(target=_watch, args=(PREFECT_API_URL.value(), flow_run_id), daemon=True).start()
        threading.Thread(target=outlive_readers, args=(OUTPUTS,), daemon=True).start()


def outlive_readers(descriptors: tuple[int, ...]) -> None:
    """Wait until whoever reads an output has died, and send what is written from then on nowhere."""
    waiting, poll = set(descriptors), select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, 0)  # an error or a hang-up is reported whatever is asked for
    while waiting:
        for descriptor, _ in poll.poll():
            poll.unregister(descriptor)
            waiting.remove(descriptor)
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), descriptor)


def was_asked_for(flow_run_id: str) -> bool:
    """Tell whether a run that crashed was to be cancelled; Prefect's engine takes any end from outside for a crash."""
    if os.environ.get(OWN_RUN) != flow_run_id:
        return False
    try:
        states = ask(f"{PREFECT_API_URL.value()}/flow_run_states/?flow_run_id={flow_run_id}")
    except SILENCE:
        return False
    return ended_by_cancellation(states)


def ended_by_cancellation(states: list[dict]) -> bool:
    """Tell from the states that a run went through whether a cancellation is what came before its crash."""
    types = [state["type"] for state in sorted(states, key=lambda state: state["timestamp"])]
    while types and types[-1] == "CRASHED":
        types.pop()
    return bool(types) and types[-1] in ("CANCELLING", "CANCELLED")


def confirm(flow_run_id: str) -> None:
    """Have Prefect call a run cancelled that its engine took for crashed."""
    set_state(PREFECT_API_URL.value(), flow_run_id, CANCELLED, force=True)


def must_stop(state: dict, now: datetime.datetime) -> bool:
    """Tell from a flow run's state whether nobody but the run itself will end it."""
    if state["type"] == "CANCELLED":
        return True
    age = now - datetime.datetime.fromisoformat(state["timestamp"])
    return state["type"] == "CANCELLING" and age.total_seconds() > GRACE_S


def _watch(url: str, flow_run_id: str) -> None:
    while True:
        time.sleep(POLL_S)
        try:
            state = ask(f"{url}/flow_runs/{flow_run_id}")["state"]
        except SILENCE:
            continue  # a server that is away cancels nothing
        if must_stop(state, datetime.datetime.now(datetime.UTC)):
            os.kill(os.getpid(), signal.SIGTERM)
            return
