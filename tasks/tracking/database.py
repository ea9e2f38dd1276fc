"""How the project's own MLflow database comes into being: whole or not at all, and without a path in it."""

import contextlib
import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

from tasks.store.locks import sole_holder
from tasks.tracking.empty_database import create_empty

DATABASE = "mlflow.db"
ARTIFACT_SCHEME = "mlflow-artifacts"
ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"


def create_store(folder: Path, open_store: Callable[[str], object]) -> None:
    """Create the database, unless it exists, in a folder of its own, and move it into place whole.

    MLflow makes its tables in many transactions when `open_store` opens the address it is given: a kill among them
    would leave a database that cannot be opened, and two processes doing so at once break each other's work.
    """
    database, draft = folder / DATABASE, folder / "creating"
    with sole_holder(folder / "mlflow.lock"):
        if database.exists():
            return
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        create_empty("mlflow", draft / DATABASE)
        with _location_free_artifacts():
            open_store(f"sqlite:///{draft / DATABASE}")
        (draft / DATABASE).rename(database)
        draft.rmdir()


@contextlib.contextmanager
def _location_free_artifacts() -> Generator[None]:
    """Have a store that is created in this block place artifacts as `mlflow server` does; else it stores a path."""
    os.environ[ARTIFACT_ROOT] = f"{ARTIFACT_SCHEME}:/"
    try:
        yield
    finally:
        del os.environ[ARTIFACT_ROOT]
