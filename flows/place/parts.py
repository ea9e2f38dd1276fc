"""The parts of a place: which command each is, in which environment it runs, how it is called."""

import contextlib
import os
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flows.place.access import basic_auth_config, prefect_auth_string
from flows.place.devices import CPU
from flows.place.run_log import LOGGING_ENVIRONMENT
from flows.place.settings import MLFLOW, PREFECT, PlaceSettings
from tasks.store.artefacts import home

PLACE_VARIABLE, PART_VARIABLE = "RNNFLOW_PLACE", "RNNFLOW_PART"  # what marks the processes of a place
FLOW_RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"  # what marks the process of a flow run, as Prefect's workers set it

CPU_POOL, GPU_POOL, FIT_QUEUE = "cpu", "gpu", "fits"
HEARTBEAT_S = 30
# Each question of a worker is a write, and a form that is saved meanwhile is refused: Prefect's server checks a
# recipe's schema for half a second within one transaction, which SQLite ends as soon as another has written.
POLL_S = "5"
RUNS_PER_CPU_WORKER = 8
SERVER_COMMAND = ("-m", "prefect", "server", "start")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One process that is kept running; `address` of a server, `pool` of a worker."""

    name: str
    title: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    address: str = ""
    pool: str = ""

    @property
    def is_worker(self) -> bool:
        """Whether the part takes runs from a pool, rather than answering requests."""
        return bool(self.pool)

    def full_environment(self) -> dict[str, str]:
        """Everything the process is to see of the environment, its marks included."""
        inherited = {name: value for name, value in os.environ.items() if name not in self.without}
        marks = {PLACE_VARIABLE: str(home()), PART_VARIABLE: self.name, "RNNFLOW_HOME": str(home())}
        return {**inherited, **self.environment, **marks}


def parts_of(settings: PlaceSettings) -> list[Part]:
    """The parts that settings ask for, servers first."""
    servers = []
    if not settings.given_prefect:
        servers.append(prefect_server_part(settings))
    if not settings.given_mlflow:
        servers.append(mlflow_server_part(settings))
    cpu = worker_part(settings, "cpu-1", CPU_POOL, device=CPU, limit=RUNS_PER_CPU_WORKER)
    gpus = [
        worker_part(settings, f"gpu-{number}", GPU_POOL, device=device, limit=1)
        for number, device in enumerate(settings.devices, start=1)
    ]
    return [*servers, cpu, *gpus]


def prefect_server_part(settings: PlaceSettings) -> Part:
    """Prefect's server, with its database in `data/prefect`."""
    return Part(
        name=PREFECT,
        title="Prefect server",
        command=(sys.executable, *SERVER_COMMAND),
        environment={
            "PREFECT_HOME": str(prefect_folder()),
            "PREFECT_SERVER_API_HOST": settings.host,
            "PREFECT_SERVER_API_PORT": str(settings.prefect_port),
            # Pages that another machine opens must ask the address they came from, not their own loopback.
            **({"PREFECT_SERVER_UI_API_URL": "/api"} if settings.is_exposed else {}),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "true",
        },
        without=("PREFECT_API_URL",),
        address=settings.prefect_api,
    )


def mlflow_server_part(settings: PlaceSettings) -> Part:
    """MLflow's tracking server, with everything in `mlruns`."""
    mlruns = home() / "mlruns"
    options = {
        "--backend-store-uri": f"sqlite:///{mlruns / 'mlflow.db'}",
        "--artifacts-destination": str(mlruns / "artifacts"),
        "--host": settings.host,
        "--port": str(settings.mlflow_port),
        "--workers": "1",
        "--uvicorn-opts": "--no-access-log",  # a line per request would drown what matters
        **({"--app-name": "basic-auth"} if basic_auth_config() else {}),
    }
    return Part(
        name=MLFLOW,
        title="MLflow server",
        command=(sys.executable, "-m", "mlflow", "server", *(word for option in options.items() for word in option)),
        environment={
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
        },
        without=("MLFLOW_TRACKING_URI",),
        address=settings.mlflow,
    )


def worker_part(settings: PlaceSettings, name: str, pool: str, *, device: str, limit: int) -> Part:
    """A worker that runs flows as processes of this machine and sees one device."""
    where = f"GPU {device}" if device else "CPU"
    return Part(
        name=name,
        title=f"worker {name} ({where})",
        command=(
            *(sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"),
            *("--name", name, "--limit", str(limit), "--install-policy", "never"),
        ),
        environment={
            **client_environment(settings),
            **LOGGING_ENVIRONMENT,
            "PREFECT_WORKER_QUERY_SECONDS": POLL_S,
            "PREFECT_WORKER_HEARTBEAT_SECONDS": "10",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
            "CUDA_VISIBLE_DEVICES": device,
        },
        pool=pool,
    )


def client_environment(settings: PlaceSettings) -> dict[str, str]:
    """What a process needs to use the servers of a place; Prefect reads it when it is imported."""
    environment = {
        "PREFECT_API_URL": settings.prefect_api,
        "PREFECT_UI_URL": settings.prefect_pages,
        "MLFLOW_TRACKING_URI": settings.mlflow,
        "DO_NOT_TRACK": "true",
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), settings.reachable_host])),
    }
    if not settings.given_prefect:  # a profile of the user's must not add to what our own server expects
        environment["PREFECT_HOME"] = str(prefect_folder())
    if pair := prefect_auth_string():  # to be let in by our own server
        environment["PREFECT_API_AUTH_STRING"] = pair
    return environment


@contextlib.contextmanager
def exported(environment: Mapping[str, str]) -> Generator[None]:
    """Set environment variables in a block, and leave them as they were."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def prefect_folder() -> Path:
    """The folder of the Prefect server's database and settings."""
    return home() / "data" / "prefect"
