"""Registered models: packaged so that they load anywhere, found by name, loaded only if whole.

A version's content is the SHA-256 over its files, its code and its requirements; the same content registered twice
is one version. A name, or an alias that the ledger decides about, means the model whose content the ledger names.
"""

import contextlib
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnnmodels.durable import sha256_of_file
from tasks import tracking
from tasks.errors import InputError, IntegrityError, quoted
from tasks.packaging import Packaging, content_of, package_model
from tasks.promotion import identities, ledger, ownership
from tasks.promotion.identities import CHALLENGER, CHAMPION, PREVIOUS
from tasks.promotion.ledger import Entry, Identity
from tasks.registrations import CONTENT, find_version, read_registration, read_versions
from tasks.served_parts import SERVING
from tasks.tracking import check_name

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.pyfunc import PyFuncModel

ALIASES = (CHAMPION, CHALLENGER, PREVIOUS)
PARTS = "parts"
FILES = "rnnflow.files"


@dataclass(frozen=True, kw_only=True)
class ModelReference:
    """A registered model's name with an alias or a version number."""

    name: str
    alias: str = ""
    version: str = ""

    def __str__(self) -> str:
        """`name@alias` or `name/version`."""
        return f"{self.name}@{self.alias}" if self.alias else f"{self.name}/{self.version}"


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


def parse_reference(text: str) -> ModelReference:
    """Read `NAME`, `NAME@alias`, `NAME/3` or either of them after `models:/`; a bare name means its champion.

    Raises InputError (E-NAME-001, E-REG-002).
    """
    name, separator, rest = re.fullmatch(r"(?:models:/)?([^@/]*)([@/]?)(.*)", text, re.DOTALL).groups()
    check_name(name, what="model name")
    if separator != "/":
        return ModelReference(name=name, alias=check_name(rest if separator else CHAMPION, what="alias"))
    if not re.fullmatch(r"[1-9][0-9]{0,8}", rest):
        raise InputError(
            "E-REG-002",
            f"got model version {quoted(rest)}, expected a number.",
            fix=f"write {name}, {name}@{CHAMPION} or {name}/1.",
        )
    return ModelReference(name=name, version=rest)


def resolve_model(text: str) -> RegisteredModel:
    """Find a registered version and bring its files to this disk; see `parse_reference` for what names it.

    Raises InputError (E-REG-001) if there is none; IntegrityError (E-REG-003) if its files are not what was registered,
    (E-REG-007) if the champion is no longer registered; ServiceError (E-LED-004, E-LED-005) if another ledger decides.
    """
    reference = _decided(parse_reference(text))
    version = None if tracking.is_absent() else find_version(**asdict(reference))
    if version is None:
        raise InputError(
            "E-REG-001",
            f"model {quoted(reference)} is not registered in {quoted(tracking.store_name())}.",
            fix="`rnnflow runs` lists what was registered.",
        )
    return checked_model(_localize(version), version.tags.get(FILES, ""))


def checked_model(model: RegisteredModel, files_sha256: str) -> RegisteredModel:
    """Return the model if the digest list of its files is the registered one.

    Raises IntegrityError (E-REG-003).
    """
    _check_file(model, model.parts / SERVING, files_sha256)
    return model


def load_pyfunc(model: RegisteredModel) -> "PyFuncModel":
    """Load a version as any user of MLflow would.

    Raises IntegrityError (E-INT-001) if a file is damaged.
    """
    with _unchanged_import_path():
        return tracking.load_mlflow().pyfunc.load_model(str(model.folder))


def log_version(
    name: str, parts: Path, packaging: Packaging, *, run_id: str, tags: Mapping[str, str], description: str
) -> RegisteredModel:
    """Package a model's folder, log it to a run and register it, unless a whole version has its content.

    Raises ServiceError (E-SVC-004).
    """
    tags = {CONTENT: content_of(parts, packaging.module), FILES: sha256_of_file(parts / SERVING), **tags}
    with tracking.answering():
        same = tracking.connect().search_model_versions(f"name = '{name}' AND tags.`{CONTENT}` = '{tags[CONTENT]}'")
        model = next(filter(None, map(_whole_model, same)), None)
        if model is None:
            model = _localize(
                _create_version(name, parts, packaging, run_id=run_id, tags=tags, description=description)
            )
    return checked_model(model, tags[FILES])


def resolve_whole_model(text: str) -> RegisteredModel:
    """Find a registered version as `resolve_model` does, and check each of its files.

    Raises what `resolve_model` does.
    """
    model = resolve_model(text)
    for name, sha256 in json.loads((model.parts / SERVING).read_bytes())["sha256"].items():
        _check_file(model, model.parts / name, sha256)
    return model


def open_identity(name: str, who: Identity, entries: Sequence[Entry]) -> RegisteredModel:
    """Find what entries are about under the number that it has now, and check each of its files.

    Raises IntegrityError (E-REG-003, E-REG-007), ServiceError (E-SVC-004).
    """
    versions = read_versions(name)
    number = identities.locate(who, versions)
    if not number:
        raise identities.report_gone(entries, versions)
    return resolve_whole_model(f"{name}/{number}")


def holds_artifact(artifact_uri: str) -> bool:
    """Tell whether the files of a version lie in the project's own store; of another store this is not asked."""
    if not tracking.is_own_store():
        return True
    return tracking.local_artifact(artifact_uri, tracking.artifacts_folder()).is_dir()


def _check_file(model: RegisteredModel, path: Path, sha256: str) -> None:
    if not path.is_file() or sha256_of_file(path) != sha256:
        raise IntegrityError(
            "E-REG-003",
            f"the files of model {model.label} are missing or are not those that were registered.",
            fix=f"restore `mlruns/`, or return to an earlier champion: rnnflow rollback {model.name} --reason TEXT",
            file=path,
        )


def _create_version(
    name: str, parts: Path, packaging: Packaging, *, run_id: str, tags: Mapping[str, str], description: str
) -> "ModelVersion":
    client, entities = tracking.connect(), tracking.load_mlflow().entities
    experiment_id = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment_id, name=name, source_run_id=run_id, model_type=packaging.model_type)
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "model"
        package_model(
            parts, package, packaging, artifact_path=logged.artifact_location, run_id=run_id, model_id=logged.model_id
        )
        client.log_model_artifacts(logged.model_id, str(package))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [entities.LoggedModelOutput(logged.model_id, step=0)])
    # The version comes last: a cut upload leaves none.
    with contextlib.suppress(tracking.load_mlflow().MlflowException):
        client.create_registered_model(name)
    return client.create_model_version(
        name, logged.artifact_location, run_id, tags=tags, description=description, model_id=logged.model_id
    )


def _decided(reference: ModelReference) -> ModelReference:
    """Put the number of the model that the ledger means in the place of an alias; without a ledger the alias stands."""
    entries = ledger.read_entries(reference.name) if reference.alias in ALIASES else []
    if not entries:
        return reference
    registration = read_registration(reference.name)
    ownership.refuse_other_ledger(reference.name, entries, registration.tags if registration else {})
    versions = read_versions(reference.name)
    entries = identities.complete(entries, versions)
    who = identities.roles_of(entries[-1]).get(reference.alias)
    number = identities.locate(who, versions) if who else ""
    if who and not number and reference.alias == CHAMPION:
        raise identities.report_gone(entries, versions)
    return ModelReference(name=reference.name, version=number) if number else reference


def _localize(version: "ModelVersion") -> RegisteredModel:
    with tracking.answering():
        uri = tracking.connect().get_model_version_download_uri(version.name, version.version)
        folder = tracking.fetch_artifacts(uri)
    content = version.tags.get(CONTENT, "")
    return RegisteredModel(
        name=version.name, version=str(version.version), artifact_uri=uri, folder=folder, content=content
    )


def _whole_model(version: "ModelVersion") -> RegisteredModel | None:
    with contextlib.suppress(IntegrityError):
        return checked_model(_localize(version), version.tags.get(FILES, ""))
    return None


@contextlib.contextmanager
def _unchanged_import_path() -> Iterator[None]:
    """Undo what MLflow adds to `sys.path`: in this process the project's own modules stay in charge."""
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before
