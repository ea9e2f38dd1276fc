"""The folder of a model as it is served: its files, and `serving.json`, which names the SHA-256 of each of them.

This module travels with every registered model, so it knows neither Prefect nor MLflow.
"""

import importlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rnnmodels.durable import sha256_of_file
from tasks.errors import IntegrityError

SERVING = "serving.json"
SERVING_FORMAT = 3


def write_serving(folder: Path, *, kind: str, serving: Mapping[str, object], parts: Iterable[str], model: str) -> None:
    """Complete a folder that holds `parts` with `serving.json`, which also says what it is and how it is used.

    `model` names the class that reads the folder, as `module:Class`.
    """
    sha256 = {name: sha256_of_file(folder / name) for name in parts}
    fields = {"format": SERVING_FORMAT, "kind": kind, "model": model, "serving": dict(serving), "sha256": sha256}
    (folder / SERVING).write_text(json.dumps(fields, indent=2, sort_keys=True), encoding="utf-8")


def add_part(folder: Path, name: str) -> None:
    """Count one more file among those of a complete folder."""
    fields = read_serving_fields(folder)
    fields["sha256"][name] = sha256_of_file(folder / name)
    (folder / SERVING).write_text(json.dumps(fields, indent=2, sort_keys=True), encoding="utf-8")


def read_serving(folder: Path) -> dict[str, Any]:
    """Return how a folder's model is used, after checking the SHA-256 of each file.

    Raises IntegrityError (E-INT-001).
    """
    fields = read_serving_fields(folder)
    for name, sha256 in fields["sha256"].items():
        check_part(folder / name, sha256)
    return fields["serving"]


def served_modules(folder: Path, module: str) -> tuple[str, ...]:
    """Where the code of a folder's model begins: the file that MLflow runs, and that of the class which it serves."""
    return (module, read_serving_fields(folder)["model"].partition(":")[0])


def load_served(folder: Path) -> Any:  # noqa: ANN401 (a kind's own class)
    """Read a folder by the class that its `serving.json` names; that class says what it raises."""
    module, _, name = read_serving_fields(folder)["model"].partition(":")
    return getattr(importlib.import_module(module), name).load(folder)


def read_serving_fields(folder: Path) -> dict[str, Any]:
    """Read `serving.json`, checking nothing: format, kind, serving, sha256."""
    return json.loads((folder / SERVING).read_bytes())


def check_part(path: Path, sha256: str) -> None:
    """Refuse a file that is not the one which was registered.

    Raises IntegrityError (E-INT-001).
    """
    if not path.is_file() or sha256_of_file(path) != sha256:
        raise IntegrityError(
            "E-INT-001",
            "is not the file that was registered (its SHA-256 differs or it is missing).",
            fix="restore the file, or register the model again.",
            file=path,
        )
