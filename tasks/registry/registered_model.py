"""A registered version and its files: packaged so that it loads anywhere, loaded only if whole.

A version's content is the SHA-256 over its files, its code and its requirements; the same content registered twice
is one version.
"""

import contextlib
import sys
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnnmodels.durable import sha256_of_file
from tasks.errors import IntegrityError
from tasks.registry.identity import Identity
from tasks.registry.packaging import Packaging, content_of, package_model
from tasks.registry.registrations import CONTENT
from tasks.registry.served_parts import SERVING
from tasks.tracking import mlflow_client

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.pyfunc import PyFuncModel

PARTS = "parts"
FILES = "rnnflow.files"


@dataclass(frozen=True, kw_only=True)
class RegisteredModel:
    """One version on this machine's disk: `folder` is what `mlflow.pyfunc.load_model` takes."""

    name: str
    version: str
    artifact_uri: str
    folder: Path
    content: str = ""

    @property
    def label(self) -> str:
        """`name/version`."""
        return f"{self.name}/{self.version}"

    @property
    def identity(self) -> Identity:
        """What the ledger calls it."""
        return Identity(self.version, self.content)

    @property
    def parts(self) -> Path:
        """The folder with weights, encoder and `serving.json`."""
        return self.folder / "artifacts" / PARTS


def checked_model(model: RegisteredModel, files_sha256: str) -> RegisteredModel:
    """Return the model if the digest list of its files is the registered one.

    Raises IntegrityError (E-REG-003).
    """
    check_file(model, model.parts / SERVING, files_sha256)
    return model


def load_pyfunc(model: RegisteredModel) -> "PyFuncModel":
    """Load a version as any user of MLflow would.

    Raises IntegrityError (E-INT-001) if a file is damaged.
    """
    with _unchanged_import_path():
        return mlflow_client.load_mlflow().pyfunc.load_model(str(model.folder))


def log_version(
    name: str,
    parts: Path,
    packaging: Packaging,
    *,
    module: str,
    run_id: str,
    fit_run_id: str,
    tags: Mapping[str, str],
    description: str,
) -> RegisteredModel:
    """Package a model's folder and register it, unless a whole version has its content.

    module: what MLflow runs when the model is loaded. run_id: the flow's run, on whose page the version is found.
    fit_run_id: the run of the fit, which logs the model.

    Raises ServiceError (E-SVC-004).
    """
    tags = {CONTENT: content_of(parts, module), FILES: sha256_of_file(parts / SERVING), **tags}
    with mlflow_client.answering():
        client = mlflow_client.connect()
        same = client.search_model_versions(f"name = '{name}' AND tags.`{CONTENT}` = '{tags[CONTENT]}'")
        model = next(filter(None, map(_whole_model, same)), None)
        if model is None:
            logged = _log_package(name, parts, packaging, module=module, run_ids=(fit_run_id, run_id))
            # The version comes last: a cut upload leaves none.
            with contextlib.suppress(mlflow_client.load_mlflow().MlflowException):
                client.create_registered_model(name)
            location, model_id = logged.artifact_location, logged.model_id
            version = client.create_model_version(
                name, location, run_id, tags=tags, description=description, model_id=model_id
            )
            model = localize(version)
    return checked_model(model, tags[FILES])


def holds_artifact(artifact_uri: str) -> bool:
    """Tell whether the files of a version lie in the project's own store; of another store this is not asked."""
    if not mlflow_client.is_own_store():
        return True
    return mlflow_client.local_artifact(artifact_uri, mlflow_client.artifacts_folder()).is_dir()


def check_file(model: RegisteredModel, path: Path, sha256: str) -> None:
    """Refuse a file that is not the one which was registered.

    Raises IntegrityError (E-REG-003).
    """
    if not path.is_file() or sha256_of_file(path) != sha256:
        raise IntegrityError(
            "E-REG-003",
            f"the files of model {model.label} are missing or are not those that were registered.",
            fix=f"restore `mlruns/`, or return to an earlier champion: rnnflow rollback {model.name} --reason TEXT",
            file=path,
        )


def _log_package(
    name: str, parts: Path, packaging: Packaging, *, module: str, run_ids: tuple[str, str]
) -> "LoggedModel":
    """Log a model's package to the first of two runs, and name it as an output of both."""
    client, entities = mlflow_client.connect(), mlflow_client.load_mlflow().entities
    experiment_id = client.get_run(run_ids[0]).info.experiment_id
    model_type = packaging.model_type
    logged = client.create_logged_model(experiment_id, name=name, source_run_id=run_ids[0], model_type=model_type)
    with tempfile.TemporaryDirectory() as folder:
        packaged = Path(folder) / "model"
        place = {"artifact_path": logged.artifact_location, "run_id": run_ids[0], "model_id": logged.model_id}
        package_model(parts, packaged, packaging, module=module, **place)
        client.log_model_artifacts(logged.model_id, str(packaged))
    client.finalize_logged_model(logged.model_id, "READY")
    for run_id in run_ids:
        client.log_outputs(run_id, [entities.LoggedModelOutput(logged.model_id, step=0)])
    return logged


def localize(version: "ModelVersion") -> RegisteredModel:
    """Bring the files of a version to this disk.

    Raises ServiceError (E-SVC-004).
    """
    with mlflow_client.answering():
        uri = mlflow_client.connect().get_model_version_download_uri(version.name, version.version)
        folder = mlflow_client.fetch_artifacts(uri)
    content = version.tags.get(CONTENT, "")
    return RegisteredModel(
        name=version.name, version=str(version.version), artifact_uri=uri, folder=folder, content=content
    )


def _whole_model(version: "ModelVersion") -> RegisteredModel | None:
    with contextlib.suppress(IntegrityError):
        return checked_model(localize(version), version.tags.get(FILES, ""))
    return None


@contextlib.contextmanager
def _unchanged_import_path() -> Generator[None]:
    """Undo what MLflow adds to `sys.path`: in this process the project's own modules stay in charge."""
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before
