"""Bring a place up: start what is missing, wait until it answers, deploy."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from rich.console import Console

from flows.place.access import check_access
from flows.place.down import end_place
from flows.place.furnishing import check_file, furnish
from flows.place.missed import crash_lost_runs, request_tidy, skip_missed_runs
from flows.place.parts import Part, parts_of, prefect_folder
from flows.place.ports import check_ports
from flows.place.prefect_api import answering
from flows.place.processes import processes_of_place
from flows.place.project_recipes import DeployedProject
from flows.place.services import PrefectServer
from flows.place.settings import (
    MLFLOW,
    PREFECT,
    PlaceSettings,
    load_settings,
    mlflow_address_file,
    save_settings,
    sole_change,
)
from flows.place.status import is_ready
from flows.place.supervision import (
    DEAD_STATES,
    RUNNING_STATES,
    is_supervised,
    last_lines,
    log_of,
    part_states,
    start_part,
    start_supervisor,
)
from rnnmodels.durable import write_durably
from tasks.errors import InputError, ServiceError, quoted
from tasks.store.locks import sole_holder

ANSWER_LIMIT_S = 180  # a first start creates two databases: 25 s on an idle machine
POLL_S = 0.2

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What `up` did: the settings in force, the parts that it started, what it deployed, what it skipped."""

    settings: PlaceSettings
    started: tuple[str, ...]
    deployed: bool
    skipped_runs: int
    recipes: DeployedProject = field(default_factory=DeployedProject)


def bring_up(wanted: PlaceSettings, console: Console) -> Arrival:
    """Start everything that does not run, and return when all of it answers.

    Raises InputError (E-CFG-003, E-CFG-004, E-CFG-010, E-CFG-012 to E-CFG-014, E-CFG-016), ServiceError (E-SVC-001,
    E-SVC-010 to E-SVC-014).
    """
    check_access(wanted)
    check_file(wanted)
    with sole_change(), console.status("Looking at what runs") as status:
        settings = _supervise(wanted, status.update)
        missing = missing_parts(settings)
        with answering(settings.prefect_api):
            start_servers(settings, missing, status.update)
            status.update("Deploying flows")
            furnished = furnish(settings)  # needs Prefect alone; MLflow starts meanwhile
            skipped = close_missed_runs(settings, missing)
            start_workers(settings, missing, status.update)
            if missing:
                request_tidy(settings)
    names = tuple(part.name for part in missing)
    return Arrival(
        settings=settings,
        started=names,
        deployed=furnished.deployed,
        skipped_runs=skipped,
        recipes=furnished.recipes,
    )


def missing_parts(settings: PlaceSettings) -> list[Part]:
    """The parts that do not run."""
    states = part_states()
    return [part for part in parts_of(settings) if states[part.name].state not in RUNNING_STATES]


def start_servers(settings: PlaceSettings, missing: Sequence[Part], tell: Tell) -> None:
    """Start the missing servers, and return when Prefect's answers, whether it is our own or given."""
    servers = {part.name: part for part in missing if not part.is_worker}
    check_ports(settings.host, {name: settings.ports[name] for name in servers})
    if MLFLOW in servers:
        start_part(MLFLOW)
    if PREFECT in servers:
        # Commands start a server on the same database: two at once would break each other.
        with sole_holder(prefect_folder() / "start.lock"):
            start_part(PREFECT)
            tell("Waiting for the Prefect server")
            await_part(settings, servers[PREFECT])
    PrefectServer(url=settings.prefect_api).wait_until_ready()
    if not settings.given_mlflow:
        mlflow_address_file().parent.mkdir(exist_ok=True)
        write_durably(mlflow_address_file(), json.dumps({"address": settings.mlflow}).encode())


def close_missed_runs(settings: PlaceSettings, missing: Sequence[Part]) -> int:
    """Close what nobody saw to while no worker ran; returns the number of scheduled runs that were skipped."""
    if not all(part in missing for part in parts_of(settings) if part.is_worker):
        return 0
    crash_lost_runs(settings)
    return skip_missed_runs(settings)


def start_workers(settings: PlaceSettings, missing: Sequence[Part], tell: Tell) -> None:
    """Start the missing workers, and return when every part answers."""
    for part in missing:
        if part.is_worker:
            start_part(part.name)
    for part in parts_of(settings):
        tell(f"Waiting for the {part.title}")
        await_part(settings, part)


def await_part(settings: PlaceSettings, part: Part) -> None:
    """Return once a part answers.

    Raises ServiceError (E-SVC-011) with the end of its log.
    """
    deadline = time.monotonic() + ANSWER_LIMIT_S
    while True:
        state = part_states()[part.name]
        if state.state in DEAD_STATES or time.monotonic() > deadline:
            raise _failed_part(part)
        if state.state in RUNNING_STATES and is_ready(settings, part, state):
            return
        time.sleep(POLL_S)


def _supervise(wanted: PlaceSettings, tell: Tell) -> PlaceSettings:
    """Have a supervisor; returns the settings in force, which a running place keeps until it goes down."""
    if is_supervised():
        return _settings_in_force(wanted)
    if processes_of_place():  # a supervisor that was killed leaves its parts running
        end_place(tell)
    check_ports(wanted.host, {part.name: wanted.ports[part.name] for part in parts_of(wanted) if not part.is_worker})
    save_settings(wanted)
    start_supervisor(parts_of(wanted))
    return wanted


def _settings_in_force(wanted: PlaceSettings) -> PlaceSettings:
    running = load_settings()
    assert running is not None, "they are saved before any part starts"
    if replace(running, devices=wanted.devices) != wanted:
        raise InputError(
            "E-CFG-014",
            f"this place is up with other settings: {quoted(_describe(running))}, not {quoted(_describe(wanted))}.",
            fix="give the same options and variables, or run `rnnflow down` first.",
        )
    return running


def _describe(settings: PlaceSettings) -> str:
    return f"host {settings.host}, Prefect {settings.prefect_api}, MLflow {settings.mlflow}"


def _failed_part(part: Part) -> ServiceError:
    said = (last_lines(part.name, 1) or ["nothing"])[-1]
    return ServiceError(
        "E-SVC-011",
        f"the {part.title} does not answer; its log ends with {quoted(said)}.",
        fix=f"see `rnnflow status` or the whole log ({log_of(part.name)}), then run `rnnflow up` again.",
    )
