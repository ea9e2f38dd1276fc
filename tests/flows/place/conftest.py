"""A place of stand-ins: the real supervisor around servers and workers that start in no time."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from flows.place import furnishing
from flows.place.down import take_down
from flows.place.project_recipes import DeployedProject
from flows.place.settings import PlaceSettings
from flows.place.up import Arrival, bring_up

ROOT = Path(__file__).parents[3]
STANDINS = Path(__file__).with_name("standins")
QUIET = Console(quiet=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def choose_place(home: Path, patch: pytest.MonkeyPatch) -> PlaceSettings:
    """Work in a project folder with an MLflow store and one deployment, on two free ports."""
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_UI_URL"):
        patch.delenv(name, raising=False)
    patch.setenv("RNNFLOW_HOME", str(home))
    patch.setenv("PYTHONPATH", os.pathsep.join([str(STANDINS), str(ROOT)]))
    patch.setattr(furnishing, "update_automations", lambda: None)
    patch.setattr(furnishing, "deploy_project", lambda around: DeployedProject())
    (home / "mlruns").mkdir(parents=True)
    (home / "mlruns" / "mlflow.db").touch()
    (home / "prefect.yaml").write_text("deployments:\n  - name: train\n")
    return PlaceSettings(prefect_port=free_port(), mlflow_port=free_port())


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlaceSettings:
    """A place of this test's own, not up yet."""
    return choose_place(tmp_path / "home", monkeypatch)


@pytest.fixture
def up(settings: PlaceSettings) -> Iterator[Callable[[], Arrival]]:
    """Bring this test's place up; whatever runs at its end is taken down."""
    try:
        yield lambda: bring_up(settings, QUIET)
    finally:
        take_down(QUIET)


@pytest.fixture(scope="module")
def shared_arrival(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Arrival]]:
    """A place that stays up for a module: its folder, and what bringing it up said."""
    home = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        shared = choose_place(home, patch)
        try:
            yield home, bring_up(shared, QUIET)
        finally:
            take_down(QUIET)


@pytest.fixture
def shared(shared_arrival: tuple[Path, Arrival], monkeypatch: pytest.MonkeyPatch) -> PlaceSettings:
    """The settings of the place that is up, in whose folder the test works."""
    monkeypatch.setenv("RNNFLOW_HOME", str(shared_arrival[0]))
    return shared_arrival[1].settings
