"""Shared fixtures: every test works in a project folder of its own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder; `data/` and `mlruns/` appear in it."""
    monkeypatch.setenv("RNNFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    return tmp_path
