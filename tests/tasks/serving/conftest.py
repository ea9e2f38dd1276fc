"""A project with two versions of a small model, of which the first is champion, for the tests of the service."""

import shutil
from pathlib import Path

import pytest

from tasks.promotion import named_models
from tasks.serving.champion import ModelFollower, load_served


@pytest.fixture(scope="module")
def own_home(rivals_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(rivals_home, tmp_path_factory.mktemp("serving") / "home")


@pytest.fixture
def home(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNFLOW_HOME", str(own_home))
    return own_home


@pytest.fixture
def follower(home: Path) -> ModelFollower:
    """Follows the champion, version 1."""
    return ModelFollower(named_models.parse_reference("reviews"), load_served(named_models.resolve_model("reviews")))
