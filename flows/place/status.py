"""How each part of a place is: what keeps it running says, and whether it answers."""

import time
from dataclasses import asdict, dataclass, replace

from flows.place.parts import Part, parts_of
from flows.place.prefect_api import SILENCE, answers, without_credentials, worker_heartbeats
from flows.place.processes import processes_of_place
from flows.place.settings import MLFLOW, PREFECT, PlaceSettings, load_settings
from flows.place.supervision import RUNNING_STATES, PartState, is_supervised, last_lines, log_of, part_states

LOG_LINES = 8
ANSWERING, STARTING, SILENT, DEAD, ABSENT = "running", "starting", "not answering", "crashed", "not running"
WAITING = "waiting"  # a worker that lives, of which a silent Prefect cannot tell more
QUIET = (ANSWERING, WAITING)


@dataclass(frozen=True, kw_only=True)
class PartStatus:
    """The state of one part; `log_tail` only where something is wrong."""

    name: str
    title: str
    state: str
    address: str = ""
    pid: int = 0
    started: float = 0.0
    deaths: int = 0
    last_death: str = ""
    log: str = ""
    log_tail: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether the part does its work now."""
        return self.state == ANSWERING


@dataclass(frozen=True, kw_only=True)
class PlaceStatus:
    """Whether a place is up, and all its parts, the servers of others among them.

    `orphans` counts the processes that still run although what kept them running is gone.
    """

    is_up: bool
    orphans: int = 0
    parts: tuple[PartStatus, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether the place is up with every part at work."""
        return self.is_up and all(part.is_well for part in self.parts)


def look_at_place() -> PlaceStatus:
    """Ask the supervisor and each part how they are."""
    settings = load_settings()
    if settings is None or not is_supervised():
        return PlaceStatus(is_up=False, orphans=len(processes_of_place()))
    states = part_states()
    own = [look_at_part(settings, part, states.get(part.name)) for part in parts_of(settings)]
    return PlaceStatus(is_up=True, parts=(*given_servers(settings), *own))


def running_place() -> PlaceSettings | None:
    """The settings of this project's place if it is up and its Prefect server answers."""
    settings = load_settings()
    if settings is None or not is_supervised():
        return None
    if not settings.given_prefect and part_states()[PREFECT].state not in RUNNING_STATES:
        return None  # whoever answers at its port is another
    return settings if answers(settings.prefect_api) else None


def look_at_part(settings: PlaceSettings, part: Part, state: PartState | None) -> PartStatus:
    """The status of one part of our own."""
    known = state or PartState()
    condition = _condition(settings, part, known)
    return PartStatus(
        **asdict(replace(known, state=condition)),
        name=part.name,
        title=part.title,
        address=without_credentials(part.address.removesuffix("/api")) or f"pool {part.pool}",
        log=str(log_of(part.name)),
        log_tail=() if condition in QUIET else tuple(last_lines(part.name, LOG_LINES)),
    )


def given_servers(settings: PlaceSettings) -> list[PartStatus]:
    """The status of the servers that others run."""
    given = [
        (PREFECT, "Prefect server (PREFECT_API_URL)", settings.given_prefect),
        (MLFLOW, "MLflow server (MLFLOW_TRACKING_URI)", settings.given_mlflow),
    ]
    return [
        PartStatus(
            name=name,
            title=title,
            state=ANSWERING if not address.startswith("http") or answers(address) else SILENT,
            address=without_credentials(address),
        )
        for name, title, address in given
        if address
    ]


def is_ready(settings: PlaceSettings, part: Part, state: PartState) -> bool:
    """Tell whether a part that runs answers: a server by its health, a worker by having spoken since it started."""
    if not part.is_worker:
        return answers(part.address)
    since = 0.0 if settings.given_prefect else state.started  # another machine has another clock
    try:
        return worker_heartbeats(settings.prefect_api, part.pool).get(part.name, -1.0) >= since
    except SILENCE:
        return False


def describe_age(started: float) -> str:
    """How long ago something started, in words."""
    seconds = max(0, int(time.time() - started))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _condition(settings: PlaceSettings, part: Part, state: PartState) -> str:
    if state.state in RUNNING_STATES:
        if part.is_worker and not answers(settings.prefect_api):
            return WAITING
        if is_ready(settings, part, state):
            return ANSWERING
        return STARTING if state.state == "STARTING" else SILENT
    return ABSENT if state.state in ("STOPPED", "STOPPING") else DEAD
