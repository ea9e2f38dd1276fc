"""Access to MLflow: where its store is, how it is opened, and what its failures mean.

All state lies under `mlruns/`: `mlflow.db`, and `artifacts/` under addresses (`mlflow-artifacts:/...`) that hold no
path, so the folder can be moved and `mlflow server` reads what was written without one. With MLFLOW_TRACKING_URI
set, the same calls go to that server; if it is the one that `rnnflow up` has started over `mlruns/`, the store is still
the project's own and its artifacts are read from the disk. Only `MlflowClient` with explicit run ids is used: the
active run of the fluent interface belongs to a thread and would mix runs.
"""

import contextlib
import functools
import json
import logging
import math
import os
import re
import shutil
import time
import urllib.parse
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tasks.errors import InputError, IntegrityError, ServiceError, quoted
from tasks.store.artefacts import home
from tasks.store.fingerprint import digest_of
from tasks.store.locks import sole_builder
from tasks.store.names import NAME_PATTERN
from tasks.tracking.database import ARTIFACT_SCHEME, DATABASE, create_store
from tasks.tracking.store_failures import does_not_answer, is_refusal, refuses

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

WAIT_SETTING, WAIT_S = "RNNFLOW_MLFLOW_WAIT_S", 30.0
PROMPT_S = 3.0  # registering takes dozens of calls
POLL_S = 0.5

# MLflow's own defaults let one call wait four minutes for a dead server; a user's settings win over these.
CLIENT_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
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
    if not re.fullmatch(NAME_PATTERN, name):
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
    return f"sqlite:///{mlruns() / DATABASE}"


def store_uri() -> str:
    """Where runs go: MLFLOW_TRACKING_URI, else the project's own database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or local_store_uri()


def server_address() -> str:
    """Address of the server that `rnnflow up` runs over this project's store; empty if none runs."""
    with contextlib.suppress(FileNotFoundError):
        return json.loads((mlruns() / "server.json").read_bytes())["address"]
    return ""


def is_own_store() -> bool:
    """Tell whether runs go to `mlruns/`, directly or through the server that `rnnflow up` runs over it."""
    return store_uri() == local_store_uri() or store_uri().rstrip("/") == server_address()


def store_name() -> str:
    """Name the store without credentials; `mlruns` for the project's own, wherever the folder lies."""
    if is_own_store():
        return "mlruns"
    parts = urllib.parse.urlsplit(store_uri())
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else store_uri()


def pages_address() -> str:
    """Where MLflow's pages are: the server in use, else the default address of `mlflow ui`."""
    remote = "" if is_own_store() or not store_name().startswith("http") else store_name()
    return remote or server_address() or "http://127.0.0.1:5000"


def is_absent() -> bool:
    """Tell whether the store is the project's own and was never written; needs no MLflow."""
    return store_uri() == local_store_uri() and not (mlruns() / DATABASE).exists()


def local_artifact(uri: str, artifacts: Path) -> Path:
    """Path of an artifact of the project's own store.

    Raises IntegrityError (E-REG-004) for an address that points outside the folder `artifacts`.
    """
    parts = urllib.parse.urlsplit(uri)
    path = (artifacts / urllib.parse.unquote(parts.path).lstrip("/")).resolve()
    if parts.scheme != ARTIFACT_SCHEME or parts.netloc or not path.is_relative_to(artifacts.resolve()):
        raise IntegrityError(
            "E-REG-004",
            f"artifact address {quoted(uri)} points outside {artifacts}.",
            fix="register the model again; only files of the project's own store are loaded.",
        )
    return path


def load_mlflow() -> ModuleType:
    """Import MLflow, with bounded waits and with artifacts of the project's own store read and written directly."""
    for name, value in CLIENT_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # its retries end in an error that is reported
    import mlflow
    from mlflow.store.artifact import artifact_repository_registry

    # The registry is how MLflow's plugins add schemes; this one answers for our own database and no other.
    artifact_repository_registry._artifact_repository_registry.register(ARTIFACT_SCHEME, _artifact_repository)
    return mlflow


def connect() -> "MlflowClient":
    """Open the store; the project's own is created at the first call."""
    return _client(store_uri())


@contextlib.contextmanager
def answering() -> Generator[None]:
    """Turn a failure of MLflow's store in this block into a ServiceError.

    E-SVC-004 is for one that may pass, E-SVC-028 for what the store would refuse again.
    """
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except load_mlflow().MlflowException as error:
        would_come_again = is_refusal(error.error_code, is_server=store_uri().startswith("http"))
        raise (refuses if would_come_again else does_not_answer)(store_name(), str(error)) from error
    except (RequestException, SQLAlchemyError) as error:
        raise does_not_answer(store_name(), str(error).partition("\n")[0]) from error


def ask() -> float:
    """Ask MLflow something small; returns the seconds it took to answer.

    Raises ServiceError (E-SVC-004, E-SVC-028).
    """
    with answering():
        client = connect()
        started = time.monotonic()
        client.search_experiments(max_results=1)
        return time.monotonic() - started


def wait_until_answering() -> None:
    """Return once MLflow answers promptly; a server that its supervisor restarts is awaited for a while.

    Raises ServiceError (E-SVC-004) after RNNFLOW_MLFLOW_WAIT_S, by default 30.
    """
    waits = store_uri() != local_store_uri()  # what is wrong with a file does not pass
    deadline = time.monotonic() + (_wait_limit_s() if waits else 0)
    while True:
        try:
            wall_s = ask()
            if wall_s <= PROMPT_S:
                return
            raise does_not_answer(store_name(), f"it takes {wall_s:.1f} s to answer")
        except ServiceError as error:
            if error.code != "E-SVC-004" or time.monotonic() >= deadline:
                raise
        time.sleep(POLL_S)


def fetch_artifacts(uri: str) -> Path:
    """Return a folder on this disk that holds an artifact: its own place in the project's store, else a download."""
    if is_own_store():
        return local_artifact(uri, artifacts_folder())
    target = home() / "data" / "models" / digest_of([store_name(), uri])[:24]
    if not target.exists():
        with sole_builder(target):
            _download(uri, target)
    return target


def _download(uri: str, target: Path) -> None:
    if target.exists():  # another process was faster
        return
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    artifacts = load_mlflow().artifacts
    downloaded = artifacts.download_artifacts(artifact_uri=uri, dst_path=str(partial), tracking_uri=store_uri())
    Path(downloaded).rename(target)
    shutil.rmtree(partial, ignore_errors=True)


def _wait_limit_s() -> float:
    text = os.environ.get(WAIT_SETTING, str(WAIT_S))
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < math.inf:
            return float(text)
    raise InputError(
        "E-SVC-022", f"{WAIT_SETTING}: got {quoted(text)}, expected a number of seconds.", fix="write 30, or unset it."
    )


def _artifact_repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> "ArtifactRepository":
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

    if (tracking_uri or store_uri()).rstrip("/") in (local_store_uri(), server_address()):
        return LocalArtifactRepository(str(local_artifact(artifact_uri, artifacts_folder())))
    return MlflowArtifactsRepository(artifact_uri, tracking_uri, registry_uri)


@functools.cache
def _client(uri: str) -> "MlflowClient":
    if uri == local_store_uri():
        create_store(mlruns(), lambda new: load_mlflow().MlflowClient(new).search_registered_models(max_results=1))
    return load_mlflow().MlflowClient(uri)
