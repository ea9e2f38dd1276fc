"""The processes of a place, found by the marks in their environment, whoever their parent is by now."""

import os
from collections.abc import Iterable

import psutil

from flows.place.parts import FLOW_RUN_VARIABLE, PART_VARIABLE, PLACE_VARIABLE
from tasks.store.artefacts import home

END_LIMIT_S = 10


def processes_of_place() -> list[psutil.Process]:
    """Every living process that this place started, but the calling one."""
    return [process for process, _ in _marked()]


def processes_of_part(name: str) -> list[psutil.Process]:
    """What an earlier life of a part left, but no flow runs of a worker."""
    return [
        process
        for process, environment in _marked()
        if environment.get(PART_VARIABLE) == name and FLOW_RUN_VARIABLE not in environment
    ]


def flow_runs_of_place() -> dict[str, list[psutil.Process]]:
    """The processes of each flow run that a worker of this place started, by the run's id."""
    runs: dict[str, list[psutil.Process]] = {}
    for process, environment in _marked():
        if flow_run := environment.get(FLOW_RUN_VARIABLE):
            runs.setdefault(flow_run, []).append(process)
    return runs


def end_processes(processes: Iterable[psutil.Process], limit_s: float = END_LIMIT_S) -> None:
    """Ask processes to end, and kill those that have not after a while."""
    asked = list(processes)
    for process in asked:
        _signal(process, "terminate")
    _, living = psutil.wait_procs(asked, timeout=limit_s)
    for process in living:
        _signal(process, "kill")
    psutil.wait_procs(living, timeout=END_LIMIT_S)


def _marked() -> list[tuple[psutil.Process, dict[str, str]]]:
    marked = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:  # gone meanwhile, or of another user
            continue
        if environment.get(PLACE_VARIABLE) == str(home()) and process.pid != os.getpid():
            marked.append((process, environment))
    return marked


def _signal(process: psutil.Process, name: str) -> None:
    try:
        getattr(process, name)()
    except psutil.NoSuchProcess:
        return
