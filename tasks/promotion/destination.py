"""Whether MLflow's address can keep what a run makes, asked before anything is computed.

What does not answer now may answer later, and need not stop a run: the run ends with its registration pending. What
can never be delivered is an error. For the project's own store this needs no MLflow.
"""

import os
import re
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from tasks.errors import InputError, RnnflowError, ServiceError, printable
from tasks.promotion import ownership
from tasks.store.artefacts import home
from tasks.tracking import mlflow_client
from tasks.tracking.store_failures import passing_over_silence

SETTING, ALLOWED = "MLFLOW_TRACKING_URI", "MLFLOW_ALLOW_FILE_STORE"
SERVERS, DATABASES = ("http", "https"), ("sqlite", "postgresql", "mysql", "mssql")
ADDED_SCHEMES, PLUGINS = {"databricks", "databricks-uc", "uc"}, "mlflow.tracking_store"
VERSION_LIMIT_S = 5


def check_destination(model: str) -> None:
    """Refuse to train what could not be registered: the address is of no use, or another ledger decides of the model.

    Raises InputError (E-SVC-024 to E-SVC-026), ServiceError (E-SVC-027, E-SVC-028, E-LED-004, E-LED-005).
    """
    check_address()
    if mlflow_client.is_own_store():
        return
    with passing_over_silence():  # what is made is registered once it answers
        check_server()
        ownership.read_own_decisions(model)


def check_address() -> None:
    """Refuse an address by what it says, or a folder that cannot be written; asks no server.

    Raises InputError: E-SVC-024 for a file store, E-SVC-025 for a scheme, E-SVC-026 for a folder.
    """
    if mlflow_client.is_own_store():
        folder = mlflow_client.mlruns()
        _refuse_unwritable(folder if folder.exists() else home())
        return
    uri = mlflow_client.store_uri()
    scheme = urllib.parse.urlsplit(uri).scheme.lower()
    if scheme in ("", "file"):
        _check_file_store(uri)
    elif scheme not in SERVERS:
        _check_scheme(uri, scheme.partition("+")[0])


def check_server() -> None:
    """Ask the store for its version, if it is a server, and for anything else.

    Raises ServiceError: E-SVC-004 if it does not answer, E-SVC-027 for another major version or no MLflow at all,
    E-SVC-028 if it refuses.
    """
    if urllib.parse.urlsplit(mlflow_client.store_uri()).scheme.lower() in SERVERS:
        _check_version()
    mlflow_client.ask()


def examine_destination() -> Iterator[RnnflowError]:
    """Yield what is wrong with the address, at most one error; a server that does not answer is one, too."""
    try:
        check_address()
        if not mlflow_client.is_own_store() and mlflow_client.store_uri().startswith(SERVERS):
            check_server()
    except RnnflowError as error:
        yield error


def _check_file_store(uri: str) -> None:
    # As MLflow reads its environment.
    if os.environ.get(ALLOWED, "").lower() not in ("true", "1"):
        raise InputError(
            "E-SVC-024",
            f'{SETTING}: got "{printable(uri)}", a folder of files, which MLflow no longer writes to.',
            fix=f"unset it, or set it to sqlite:///{home() / 'mlflow.db'} or a server's address; or, to keep to the "
            f"folder, set {ALLOWED}=true.",
        )
    path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(uri).path)).absolute()
    _refuse_unwritable(next(folder for folder in (path, *path.parents) if folder.exists()))


def _check_scheme(uri: str, scheme: str) -> None:
    if scheme in ADDED_SCHEMES | {entry.name for entry in metadata.entry_points(group=PLUGINS)}:
        return
    if scheme not in DATABASES:
        raise _useless_scheme("a scheme that MLflow does not know")
    try:
        url = make_url(uri)
        url.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise _useless_scheme(f"which cannot be opened: {error}") from error
    if scheme == "sqlite":
        path = Path(url.database or "").absolute()
        _refuse_unwritable(path.parent, file=path if path.exists() else None)


def _useless_scheme(problem: str) -> InputError:
    return InputError(
        "E-SVC-025",
        f'{SETTING}: got "{printable(mlflow_client.store_name())}", {printable(problem)}.',
        fix="unset it, write http://..., sqlite:///FILE or postgresql://..., or install the driver it names.",
    )


def _refuse_unwritable(folder: Path, *, file: Path | None = None) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        if file is not None and not os.access(file, os.W_OK):
            raise PermissionError(f"{file.name} is read-only")
    except OSError as error:
        is_own = mlflow_client.is_own_store()
        shown = "MLflow's store" if is_own else f'the store of {SETTING}, "{printable(mlflow_client.store_name())}",'
        raise InputError(
            "E-SVC-026",
            f"{shown} cannot be written: {error.strerror or error}.",
            fix=f"make the folder and make it writable, or set {'RNNFLOW_HOME' if is_own else SETTING} to another one.",
            file=folder,
        ) from error


def _check_version() -> None:
    mlflow, uri = mlflow_client.load_mlflow(), mlflow_client.store_uri()
    with mlflow_client.answering():
        rest = mlflow.utils.rest_utils
        credentials = mlflow.utils.credentials.get_default_host_creds(uri)
        answer = rest.http_request(
            credentials, "/version", "GET", max_retries=0, timeout=VERSION_LIMIT_S, raise_on_status=False
        )
    if answer.status_code >= 500:  # noqa: PLR2004 (whatever it is, it does not answer now)
        return
    found = re.fullmatch(r"(\d+)[.]\d+[\w.]*", answer.text.strip())
    if answer.status_code == 200 and found and found[1] == mlflow.__version__.partition(".")[0]:  # noqa: PLR2004
        return
    what = f"is MLflow {found[0]}" if found else f"is not an MLflow server (/version: HTTP {answer.status_code})"
    raise ServiceError(
        "E-SVC-027",
        f'{SETTING}: "{printable(mlflow_client.store_name())}" {what}, and this is MLflow {mlflow.__version__}.',
        fix=f"set {SETTING} to a server of MLflow {mlflow.__version__.partition('.')[0]}, or unset it.",
    )
