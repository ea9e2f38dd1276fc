"""What a place is made of: where its servers listen, or which servers of others it uses, and its devices."""

import dataclasses
import ipaddress
import json
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from flows.place.devices import CPU, visible_devices
from rnnmodels.durable import write_durably
from tasks.errors import InputError, quoted
from tasks.store.artefacts import home
from tasks.store.locks import sole_holder

PREFECT, MLFLOW = "prefect", "mlflow"  # names of the servers as parts of a place
DEFAULT_PORTS = {PREFECT: 4200, MLFLOW: 5000}
PORT_OPTIONS = {PREFECT: "--prefect-port", MLFLOW: "--mlflow-port"}
PORT_VARIABLES = {PREFECT: "RNNFLOW_PREFECT_PORT", MLFLOW: "RNNFLOW_MLFLOW_PORT"}
LOOPBACK = "127.0.0.1"
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 (what the user may ask for, not what is bound)
HIGHEST_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class PlaceSettings:
    """The choices that a running place keeps; an address of a server that others run is given, else empty."""

    host: str = LOOPBACK
    prefect_port: int = DEFAULT_PORTS[PREFECT]
    mlflow_port: int = DEFAULT_PORTS[MLFLOW]
    given_prefect: str = ""
    given_mlflow: str = ""
    devices: tuple[str, ...] = (CPU,)

    @property
    def ports(self) -> dict[str, int]:
        """The port of each server of our own, by its name as a part."""
        return {PREFECT: self.prefect_port, MLFLOW: self.mlflow_port}

    @property
    def prefect_api(self) -> str:
        """Address of Prefect's API, as workers and commands on this machine reach it."""
        return self.given_prefect or f"http://{self.reachable_host}:{self.prefect_port}/api"

    @property
    def prefect_pages(self) -> str:
        """Address of Prefect's dashboard."""
        return f"{self.prefect_api.removesuffix('/api')}/v2"

    @property
    def mlflow(self) -> str:
        """Address of MLflow's tracking server."""
        return self.given_mlflow or f"http://{self.reachable_host}:{self.mlflow_port}"

    @property
    def reachable_host(self) -> str:
        """The host to call: a server on every address answers on loopback, too."""
        return LOOPBACK if self.host in ANY_ADDRESS else f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_exposed(self) -> bool:
        """Whether other machines may reach a server of this place."""
        return not _is_loopback(self.host) and not (self.given_prefect and self.given_mlflow)


def choose_settings(
    *, host: str = "", prefect_port: int | None = None, mlflow_port: int | None = None
) -> PlaceSettings:
    """Combine options, environment and devices.

    Raises InputError (E-CFG-011) for an invalid port.
    """
    return PlaceSettings(
        host=host or LOOPBACK,
        prefect_port=_choose_port(prefect_port, PREFECT),
        mlflow_port=_choose_port(mlflow_port, MLFLOW),
        given_prefect=os.environ.get("PREFECT_API_URL", "").rstrip("/"),
        given_mlflow=os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/"),
        devices=visible_devices(),
    )


def place_folder() -> Path:
    """The folder of the place's state and logs; only its owner may look inside."""
    folder = home() / "data" / "place"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def save_settings(settings: PlaceSettings) -> None:
    """Keep the settings of the place that is being brought up, for its parts and for other commands."""
    write_durably(_file(), json.dumps(dataclasses.asdict(settings), indent=2).encode())


def load_settings() -> PlaceSettings | None:
    """The settings of the place that was last brought up, running or not; None if there was none."""
    try:
        saved = json.loads(_file().read_bytes())
    except FileNotFoundError:
        return None
    saved["devices"] = tuple(saved["devices"])
    return PlaceSettings(**saved)


def sole_change() -> AbstractContextManager[None]:
    """Let one `up` or `down` work on a place at a time; others wait for it."""
    return sole_holder(place_folder() / "change.lock")


def mlflow_address_file() -> Path:
    """What tells everyone who opens the store `mlruns` at which address its server answers."""
    return home() / "mlruns" / "server.json"


def _file() -> Path:
    return home() / "data" / "place" / "place.json"


def _choose_port(option: int | None, server: str) -> int:
    default, variable = DEFAULT_PORTS[server], PORT_VARIABLES[server]
    value = os.environ.get(variable) or default if option is None else option
    if not str(value).isdecimal() or not 0 < int(value) <= HIGHEST_PORT:
        raise InputError(
            "E-CFG-011",
            f"port of the {server} server: got {quoted(value)}, expected 1 to {HIGHEST_PORT}.",
            fix=f"correct {PORT_OPTIONS[server]} or {variable}; the default is {default}.",
        )
    return int(value)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
