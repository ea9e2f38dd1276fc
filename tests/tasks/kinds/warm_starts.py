"""A champion that answers to a name without a registry."""

import json
import shutil
from pathlib import Path

import pytest

from tasks.contract.kind import Kind
from tasks.errors import InputError
from tasks.promotion import named_models
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import SERVING
from tasks.store.artefacts import Artefact
from tasks.warm_start import warm_start


def crown(patch: pytest.MonkeyPatch, folder: Path, parts: Path) -> Path:
    """Let a copy of some parts be the champion `model`; returns the copy, which may be changed."""
    own = shutil.copytree(parts, folder / "champion" / "artifacts" / "parts")
    champion = RegisteredModel(name="model", version="1", artifact_uri="", folder=folder / "champion")
    patch.setattr(named_models, "resolve_model", lambda _: champion)
    return own


def change_serving(parts: Path, **fields: object) -> None:
    """Change what a served model says of itself."""
    said = json.loads((parts / SERVING).read_bytes())
    kind = {"kind": fields.pop("kind", said["kind"])}
    (parts / SERVING).write_text(json.dumps(said | kind | {"serving": said["serving"] | fields}))


def refusal_of(kind: Kind, encoded: Artefact) -> str:
    """What is said of a start that cannot be."""
    with pytest.raises(InputError) as caught:
        warm_start.fn(kind, "model", encoded)
    return str(caught.value)
