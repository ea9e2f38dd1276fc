"""An MLflow registry in memory: what the aliases need of it, at no cost."""

from types import SimpleNamespace

import pytest
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from tasks import tracking
from tasks.promotion import aliases, ledger, overrides


class Registry:
    """Models with versions and aliases; damaged versions are registered and not whole."""

    def __init__(self):
        self.versions = {}
        self.aliases = {}
        self.damaged = set()

    def add(self, model, *versions):
        self.versions.setdefault(model, set()).update(versions)
        self.aliases.setdefault(model, {})

    def delete_version(self, model, version):
        self.versions[model].discard(version)
        self.aliases[model] = {alias: held for alias, held in self.aliases[model].items() if held != version}

    def search_registered_models(self, condition="", **_):
        named = [name for name in self.versions if not condition or condition == f"name = '{name}'"]
        return [SimpleNamespace(name=name, aliases=dict(self.aliases[name])) for name in named]

    def set_registered_model_alias(self, model, alias, version):
        if version not in self.versions.get(model, ()):
            raise tracking.load_mlflow().MlflowException("no such version", error_code=RESOURCE_DOES_NOT_EXIST)
        self.aliases[model][alias] = version

    def delete_registered_model_alias(self, model, alias):
        self.aliases[model].pop(alias, None)


@pytest.fixture
def registry(monkeypatch):
    """The code under test sees an empty registry in memory."""
    known = Registry()

    def resolve(reference):
        name, _, version = reference.partition("/")
        if version in known.damaged:
            raise aliases.IntegrityError("E-REG-003", "its files are damaged.", fix="restore them.")
        if version not in known.versions.get(name, ()):
            raise overrides.InputError("E-REG-001", "is not registered.", fix="register it.")
        return SimpleNamespace(name=name, version=version)

    monkeypatch.setattr(tracking, "connect", lambda: known)
    monkeypatch.setattr(tracking, "is_absent", lambda: False)
    monkeypatch.setattr(overrides, "resolve_whole_model", resolve)
    return known


@pytest.fixture
def crown(registry):
    """Make a version champion as the gate does."""

    def crown_version(version, model="reviews"):
        registry.add(model, version)
        head = ledger.head(model)
        draft = ledger.Draft(
            model=model,
            action="promoted" if head else "first",
            champion=version,
            previous=head.champion if head else "",
            challenger=version,
            reason="better",
            actor="gate",
            holdout=f"rows-of-{version}",
            splits=f"split/{version}",
        )
        entry = ledger.append(draft, expected=head.number if head else 0)
        aliases.project(model)
        return entry

    return crown_version
