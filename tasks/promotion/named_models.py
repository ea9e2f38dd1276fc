"""Registered models found by name: a name, or an alias about which the ledger decides, means what the ledger names."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tasks.errors import InputError, did_you_mean, quoted
from tasks.promotion import identities, ledger, ownership
from tasks.promotion.ledger import Entry
from tasks.registry.identity import CHAMPION, ROLES, Identity
from tasks.registry.registered_model import FILES, RegisteredModel, check_file, checked_model, localize
from tasks.registry.registrations import find_version, list_registered, names_in_own_store, read_versions
from tasks.registry.served_parts import SERVING
from tasks.tracking import mlflow_client
from tasks.tracking.mlflow_client import check_name

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True, kw_only=True)
class ModelReference:
    """A registered model's name with an alias or a version number."""

    name: str
    alias: str = ""
    version: str = ""

    def __str__(self) -> str:
        """`name@alias` or `name/version`."""
        return f"{self.name}@{self.alias}" if self.alias else f"{self.name}/{self.version}"


def parse_reference(text: str) -> ModelReference:
    """Read `NAME`, `NAME@alias`, `NAME/3` or either of them after `models:/`; a bare name means its champion.

    Raises InputError (E-NAME-001, E-REG-002).
    """
    parts = re.fullmatch(r"(?:models:/)?([^@/]*)([@/]?)(.*)", text, re.DOTALL)
    assert parts is not None, "every text has a name, perhaps an empty one"
    name, separator, rest = parts.groups()
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

    Raises what `find_model` does; IntegrityError (E-REG-003) if its files are not what was registered.
    """
    version = find_model(text)
    return checked_model(localize(version), version.tags.get(FILES, ""))


def find_model(text: str) -> "ModelVersion":
    """Find a registered version, and leave its files where they are.

    Raises InputError (E-REG-001) if there is none; IntegrityError (E-REG-007) if the champion is no longer registered;
    ServiceError (E-LED-004, E-LED-005) if another ledger decides.
    """
    reference = _decided(parse_reference(text))
    known = names_in_own_store()  # asked without MLflow, whose import takes seconds
    is_missing = mlflow_client.is_absent() or (known is not None and reference.name not in known)
    version = None if is_missing else find_version(**asdict(reference))
    if version is None:
        raise _unregistered(reference, list_registered() if known is None else known)
    return version


def _unregistered(reference: ModelReference, known: Sequence[str]) -> InputError:
    if reference.name in known:
        versions = ", ".join(sorted(read_versions(reference.name), key=int)) or "none"
        fix = f"choose among the versions of {reference.name}: {versions}."
    else:
        fix = f"`rnnflow runs` lists what was registered{did_you_mean(reference.name, known)}"
    problem = f"model {quoted(reference)} is not registered in {quoted(mlflow_client.store_name())}."
    return InputError("E-REG-001", problem, fix=fix)


def resolve_whole_model(text: str) -> RegisteredModel:
    """Find a registered version as `resolve_model` does, and check each of its files.

    Raises what `resolve_model` does.
    """
    model = resolve_model(text)
    for name, sha256 in json.loads((model.parts / SERVING).read_bytes())["sha256"].items():
        check_file(model, model.parts / name, sha256)
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


def _decided(reference: ModelReference) -> ModelReference:
    """Put the number of the model that the ledger means in the place of an alias; without a ledger the alias stands."""
    if reference.alias not in ROLES or ledger.head(reference.name) is None:
        return reference
    entries, versions = ownership.read_own_decisions(reference.name), read_versions(reference.name)
    who = identities.roles_of(entries[-1]).get(reference.alias)
    number = identities.locate(who, versions) if who else ""
    if who and not number and reference.alias == CHAMPION:
        raise identities.report_gone(entries, versions)
    return ModelReference(name=reference.name, version=number) if number else reference
