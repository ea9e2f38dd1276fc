"""The lock file is what runs here, and with it both servers can be imported."""

import importlib
import re
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKED = dict(
    re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line).groups()
    for line in (ROOT / "requirements.lock").read_text().splitlines()
)


@pytest.mark.parametrize("distribution", ["prefect", "mlflow", "fastapi", "sqlalchemy", "polars", "pyarrow", "torch"])
def test_what_is_installed_is_what_is_locked(distribution: str):
    assert metadata.version(distribution).partition("+")[0] == LOCKED[distribution]


@pytest.mark.parametrize("server", ["prefect.server.api.server", "mlflow.server", "mlflow.server.fastapi_app"])
def test_the_servers_can_be_imported(server: str):
    assert importlib.import_module(server)


def test_the_lock_names_no_registry_and_no_path():
    assert not re.search(r"https?://|file:|@|--", (ROOT / "requirements.lock").read_text())
