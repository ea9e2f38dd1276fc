"""The door to MLflow: where its store is, how it is opened, what its failures mean.

All state lies under `mlruns/`: `mlflow.db`, and `artifacts/` under addresses (`mlflow-artifacts:/...`) that hold no
path, so the folder can be moved and `mlflow server` reads what was written without one. With MLFLOW_TRACKING_URI
set, the same calls go to that server. Only `MlflowClient` with explicit run ids is used: the active run of the
fluent interface belongs to a thread and would mix runs.
"""

import contextlib
import fcntl
import functools
import os
import re
import shutil
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tasks.errors import InputError, IntegrityError, ServiceError, quoted
from tasks.fingerprint import digest_of
from tasks.store import home

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ARTIFACT_SCHEME = "mlflow-artifacts"
ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"

# MLflow's own defaults let one call wait four minutes for a dead server; a user's settings win over these.
CLIENT_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def check_name(name: str, *, what: str) -> str:
    """Return a name that is safe in paths, addresses and filters.

    Raises InputError (E-NAME-001).
    """
    if not NAME.fullmatch(name):
        raise InputError(
            "E-NAME-001",
            f"{what}: got {quoted(name)}, expected 1 to 64 letters, digits, dots, underscores or hyphens, "
            "the first a letter or digit.",
            fix="choose such a name.",
        )
    return name


def mlruns() -> Path:
    """The folder of MLflow's database and artifacts."""
    return home() / "mlruns"


def artifacts_folder() -> Path:
    """The folder of the artifacts of the project's own store."""
    return mlruns() / "artifacts"


def local_store_uri() -> str:
    """Address of the project's own database."""
    return f"sqlite:///{mlruns() / 'mlflow.db'}"


def store_uri() -> str:
    """Where runs go: MLFLOW_TRACKING_URI, else the project's own database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or local_store_uri()


def store_name() -> str:
    """Name the store without credentials; `mlruns` for the project's own, wherever the folder lies."""
    parts = urllib.parse.urlsplit(os.environ.get("MLFLOW_TRACKING_URI", ""))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else "mlruns"


def pages_address() -> str:
    """Where MLflow's pages are: the server in use, else the default address of `mlflow ui`."""
    return store_name() if store_name().startswith("http") else "http://127.0.0.1:5000"


def is_absent() -> bool:
    """Tell whether the store is the project's own and was never written; needs no MLflow."""
    return store_uri() == local_store_uri() and not (mlruns() / "mlflow.db").exists()


def local_artifact(uri: str, artifacts: Path) -> Path:
    """Path of an artifact of the project's own store.

    Raises IntegrityError (E-REG-004) for an address that leads out of the folder `artifacts`.
    """
    parts = urllib.parse.urlsplit(uri)
    path = (artifacts / urllib.parse.unquote(parts.path).lstrip("/")).resolve()
    if parts.scheme != ARTIFACT_SCHEME or parts.netloc or not path.is_relative_to(artifacts.resolve()):
        raise IntegrityError(
            "E-REG-004",
            f"artifact address {quoted(uri)} leads out of {artifacts}.",
            fix="register the model again; only files of the project's own store are loaded.",
        )
    return path


def load_mlflow() -> ModuleType:
    """Import MLflow, with bounded waits and with artifacts of the project's own store read and written directly."""
    for name, value in CLIENT_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow
    from mlflow.store.artifact import artifact_repository_registry

    # The registry is how MLflow's plugins add schemes; this one answers for our own database and no other.
    artifact_repository_registry._artifact_repository_registry.register(ARTIFACT_SCHEME, _artifact_repository)
    return mlflow


def connect() -> "MlflowClient":
    """Open the store; the project's own is created at the first call."""
    return _client(store_uri())


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Turn any failure of MLflow's store in this block into a ServiceError (E-SVC-004)."""
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (load_mlflow().MlflowException, RequestException, SQLAlchemyError) as error:
        raise ServiceError(
            "E-SVC-004",
            f"MLflow's store {quoted(store_name())} failed: {quoted(str(error).partition(chr(10))[0])}.",
            fix="see that it runs and is writable, then run the same command again: finished stages are kept.",
        ) from error


def fetch_artifacts(uri: str) -> Path:
    """Return a folder on this disk that holds an artifact: its own place in the project's store, else a download."""
    if store_uri() == local_store_uri():
        return local_artifact(uri, artifacts_folder())
    target = home() / "data" / "models" / digest_of([store_name(), uri])[:24]
    if not target.exists():
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        artifacts = load_mlflow().artifacts
        downloaded = artifacts.download_artifacts(artifact_uri=uri, dst_path=str(partial), tracking_uri=store_uri())
        Path(downloaded).rename(target)
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _artifact_repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> "ArtifactRepository":
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

    if (tracking_uri or store_uri()) == local_store_uri():
        return LocalArtifactRepository(str(local_artifact(artifact_uri, artifacts_folder())))
    return MlflowArtifactsRepository(artifact_uri, tracking_uri, registry_uri)


@functools.cache
def _client(uri: str) -> "MlflowClient":
    if uri == local_store_uri():
        _create_store()
    return load_mlflow().MlflowClient(uri)


def _create_store() -> None:
    """Create the project's database, unless it exists, in a folder of its own, and move it into place whole.

    MLflow makes its tables in many transactions: a kill among them would leave a database that opens no more,
    and two processes that make them at once break each other.
    """
    database, draft = mlruns() / "mlflow.db", mlruns() / "creating"
    mlruns().mkdir(parents=True, exist_ok=True)
    with (mlruns() / "mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if database.exists():
            return
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        with _location_free_artifacts():
            load_mlflow().MlflowClient(f"sqlite:///{draft / database.name}").search_registered_models(max_results=1)
        (draft / database.name).rename(database)
        draft.rmdir()


@contextlib.contextmanager
def _location_free_artifacts() -> Iterator[None]:
    """Have a store that is created in this block place artifacts as `mlflow server` does; else it stores a path."""
    os.environ[ARTIFACT_ROOT] = f"{ARTIFACT_SCHEME}:/"
    try:
        yield
    finally:
        del os.environ[ARTIFACT_ROOT]
