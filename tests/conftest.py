"""Shared fixtures: every test works in a project folder of its own."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Forker, Fresh

# What stages and commands import from elsewhere.
HEAVY = (
    *("prefect.main", "prefect.cache_policies", "polars", "pyarrow.parquet", "sqlalchemy.orm"),
    *("torch._dynamo", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store", "sklearn.linear_model"),
)

# What starts a server or a process, or fits models that many tests look at. Tests that use it, and those that draw
# examples, are left out of `make quick`.
COSTLY = {
    *("server", "lone_server", "prefect_api", "history", "failing_server", "fresh_process", "heavy_process"),
    *("empty_database", "reviews", "loads", "registered", "fitted", "panel", "lineage", "small_models"),
}


# What is imported while tests are collected stays: going through it again and again takes a fifth of that time.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        draws_examples = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if draws_examples or COSTLY & fixtures_of(item):
            item.add_marker(pytest.mark.costly)
    put_long_files_first(items)


def put_long_files_first(items: list[pytest.Item]) -> None:
    """Begin with files that need Prefect's server, then those with other costly tests.

    A file is run by one process, so a long one that begins last is awaited by all others.
    """
    served = {item.path for item in items if "prefect_api" in fixtures_of(item)}
    costly = {item.path for item in items if item.get_closest_marker("costly")}
    items.sort(key=lambda item: (item.path not in served, item.path not in costly))


def fixtures_of(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def _no_disk_is_awaited() -> Iterator[None]:
    """No test cuts the power, and a file that crashes at every step would wait for the disk 2,500 times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder; `data/` and `mlruns/` appear in it."""
    monkeypatch.setenv("RNNFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    return tmp_path


@pytest.fixture(scope="session")
def fresh_process() -> Fresh:
    """Starts processes that have imported nothing, for tests of what is imported."""
    return Fresh()


@pytest.fixture(scope="session")
def heavy_process() -> Forker:
    """Starts processes that have imported all that is heavy."""
    return Forker(HEAVY)
