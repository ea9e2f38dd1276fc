"""What MLflow's registry says of models: versions and what they are, aliases and tags; nothing of their files."""

import contextlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.registry.identity import Identity
from tasks.tracking import mlflow_client
from tasks.tracking.database import DATABASE
from tasks.tracking.mlflow_client import check_name

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CONTENT = "rnnflow.content"
# Of a version: the split of the rows that it was trained on, and what its fit started from, in words.
SPLITS, START = "rnnflow.splits", "rnnflow.start"


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What the registry says of a model as a whole: versions by alias, and its tags."""

    aliases: Mapping[str, str]
    tags: Mapping[str, str]


def read_registration(name: str) -> Registration | None:
    """Aliases and tags of a registered model; None if it is not registered.

    Raises ServiceError (E-SVC-004).
    """
    if mlflow_client.is_absent():
        return None
    with mlflow_client.answering():
        found = mlflow_client.connect().search_registered_models(f"name = '{check_name(name, what='model name')}'")
        aliases = {alias: str(version) for model in found for alias, version in model.aliases.items()}
        return Registration(aliases=aliases, tags=dict(found[0].tags)) if found else None


def read_aliases(name: str) -> Mapping[str, str]:
    """Versions of a registered model by alias; a model that is not registered has none.

    Raises ServiceError (E-SVC-004).
    """
    registration = read_registration(name)
    return {} if registration is None else registration.aliases


def read_versions(name: str) -> dict[str, str]:
    """The content of each version of a registered model by its number, empty if the registry names none.

    Raises ServiceError (E-SVC-004).
    """
    if mlflow_client.is_absent():
        return {}
    with mlflow_client.answering():
        client, condition = mlflow_client.connect(), f"name = '{check_name(name, what='model name')}'"
        page = client.search_model_versions(condition)
        found = list(page)
        while page.token:
            page = client.search_model_versions(condition, page_token=page.token)
            found += page
    return {str(one.version): one.tags.get(CONTENT, "") for one in found}


def find_version(name: str, *, alias: str = "", version: str = "") -> "ModelVersion | None":
    """Find a version by its alias or its number.

    Raises ServiceError (E-SVC-004).
    """
    with mlflow_client.answering():
        client = mlflow_client.connect()
        try:
            return client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, version)
        except mlflow_client.load_mlflow().MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise


def read_tags(name: str, version: str) -> Mapping[str, str]:
    """What the registry says of a version; nothing of one that is not registered.

    Raises ServiceError (E-SVC-004).
    """
    found = find_version(name, version=version)
    return {} if found is None else dict(found.tags)


def list_registered() -> list[str]:
    """Names of all registered models.

    Raises ServiceError (E-SVC-004).
    """
    if mlflow_client.is_absent():
        return []
    with mlflow_client.answering():
        return sorted(model.name for model in mlflow_client.connect().search_registered_models())


def names_in_own_store() -> list[str] | None:
    """Names of all models that are registered in the project's own database; None where only MLflow can tell."""
    if not mlflow_client.is_own_store() or not (mlflow_client.mlruns() / DATABASE).exists():
        return None
    with _own_database() as database:
        return sorted(name for (name,) in database.execute("SELECT name FROM registered_models"))


def tag_version(name: str, version: str, tags: Mapping[str, str]) -> None:
    """Write tags to a version.

    Raises ServiceError (E-SVC-004).
    """
    with mlflow_client.answering():
        for key, value in tags.items():
            mlflow_client.connect().set_model_version_tag(name, version, key, value)


def holds_version(name: str, who: Identity) -> bool:
    """Tell whether the store still holds a model under its number; for the project's own store this needs no MLflow.

    Raises ServiceError (E-SVC-004).
    """
    if mlflow_client.is_own_store():
        return not mlflow_client.is_absent() and _own_database_holds(name, who)
    version = find_version(name, version=who.version)
    return version is not None and version.tags.get(CONTENT) == who.content


def mark_model(model: str, *, tags: Mapping[str, str], aliases: Mapping[str, str]) -> None:
    """Write tags to a model as a whole and point aliases to versions; an alias without a version is taken away.

    Raises ServiceError (E-SVC-004, E-SVC-028).
    """
    with mlflow_client.answering():
        client = mlflow_client.connect()
        for key, value in tags.items():
            client.set_registered_model_tag(model, key, value)
        for alias, version in aliases.items():
            if version:
                client.set_registered_model_alias(model, alias, version)
            else:
                client.delete_registered_model_alias(model, alias)


def _own_database_holds(name: str, who: Identity) -> bool:
    """Look into MLflow's tables: a deleted version keeps its row and its files."""
    query = (
        "SELECT count(*) FROM model_versions JOIN model_version_tags USING (name, version) "
        "WHERE name = ? AND version = ? AND key = ? AND value = ? AND current_stage != 'Deleted_Internal'"
    )
    with _own_database() as database:
        [found] = database.execute(query, (name, int(who.version), CONTENT, who.content)).fetchone()
    return bool(found)


def _own_database() -> contextlib.closing[sqlite3.Connection]:
    address = f"file:{mlflow_client.mlruns() / DATABASE}?mode=ro"
    return contextlib.closing(sqlite3.connect(address, uri=True))
