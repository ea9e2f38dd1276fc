"""An MLflow registry in memory: what the aliases need of it, at no cost."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.entities import PagedList

from tasks.promotion import aliases, ledger, overrides
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.registrations import CONTENT
from tasks.tracking import mlflow_client


class Registry:
    """Models with versions and aliases; damaged versions are registered and not whole.

    The content of a version is `content-` and its number, unless it is told otherwise.
    """

    def __init__(self):
        self.versions = {}
        self.aliases = {}
        self.tags = {}
        self.numbered = {}
        self.damaged = set()

    def add(self, model, *versions, content=""):
        held = self.versions.setdefault(model, {})
        for version in versions:
            held.setdefault(version, content or f"content-{version}")
        self.aliases.setdefault(model, {})
        self.tags.setdefault(model, {})

    def register(self, model, content):
        """Give a content the next number, unless it has one; returns it, as MLflow and `log_version` do."""
        for version, held in self.versions.get(model, {}).items():
            if held == content:
                return version
        version = str(self.numbered.get(model, 0) + 1)
        self.numbered[model] = int(version)
        self.add(model, version, content=content)
        return version

    def delete_version(self, model, version):
        self.versions[model].pop(version, None)
        self.aliases[model] = {alias: held for alias, held in self.aliases[model].items() if held != version}

    def delete_model(self, model):
        for held in (self.versions, self.aliases, self.tags, self.numbered):
            held.pop(model, None)

    def content_of(self, model, version):
        return self.versions.get(model, {}).get(version, "")

    def search_registered_models(self, condition="", **_):
        named = [name for name in self.versions if not condition or condition == f"name = '{name}'"]
        return [
            SimpleNamespace(name=name, aliases=dict(self.aliases[name]), tags=dict(self.tags[name])) for name in named
        ]

    def search_model_versions(self, condition, **_):
        found = self.versions.get(re.fullmatch(r"name = '(.*)'", condition)[1], {})
        versions = [SimpleNamespace(version=number, tags={CONTENT: content}) for number, content in found.items()]
        return PagedList(versions, None)

    def set_registered_model_tag(self, model, name, value):
        self.tags[model][name] = value

    def set_registered_model_alias(self, model, alias, version):
        if version not in self.versions.get(model, ()):
            raise mlflow_client.load_mlflow().MlflowException("no such version", error_code=RESOURCE_DOES_NOT_EXIST)
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
        content = known.content_of(name, version)
        return RegisteredModel(name=name, version=version, artifact_uri="", folder=Path(), content=content)

    monkeypatch.setattr(mlflow_client, "connect", lambda: known)
    monkeypatch.setattr(mlflow_client, "is_absent", lambda: False)
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
            champion_content=registry.content_of(model, version),
            previous=head.champion if head else "",
            previous_content=head.champion_content if head else "",
            challenger=version,
            challenger_content=registry.content_of(model, version),
            reason="better",
            actor="gate",
            holdout=f"rows-of-{version}",
            splits=f"split/{version}",
        )
        entry = ledger.append(draft, expected=head.number if head else 0)
        aliases.project(model)
        return entry

    return crown_version
