"""Artefacts on disk: the only writer of what lasts and the only door to what stages exchange.

An artefact is a folder `data/<stage>/<key>/` whose `manifest.json` names each file with size and SHA-256.
It is built in `<key>.partial/`, synced, and committed by one rename, so a reader sees all of it or nothing.
Stages may run more than once; each commit takes effect once, under one builder per key.
"""

import contextlib
import datetime
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rnnmodels.durable import sha256_of_file, sync, write_durably
from tasks.errors import InputError, IntegrityError, quoted
from tasks.store import fingerprint
from tasks.store.locks import sole_builder
from tasks.store.manifest import Manifest, Origin, Summary

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1

_refresh: ContextVar[bool] = ContextVar("refresh", default=False)

# What a summary says of the times in its files, which are the same bytes whatever their step is.
OF_TIMES = ("grid", "clock", "zone")


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A reference to one stage's committed result: all that travels between stages.

    `key` says what it was computed from, `digest` (SHA-256 over its files and what times mean) what it holds;
    `rows` counts its records; `cached` and `wall_s` tell how this run came by it.
    """

    stage: str
    key: str
    path: Path
    digest: str
    rows: int
    cached: bool
    wall_s: float

    @property
    def reference(self) -> str:
        """What names the artefact in this project: `stage/key`."""
        return f"{self.stage}/{self.key}"

    @property
    def manifest(self) -> Manifest:
        """The manifest as committed."""
        return json.loads((self.path / MANIFEST).read_bytes())

    @property
    def summary(self) -> dict[str, Any]:
        """What the stage reported about its result, as JSON values, for whatever knows no field; see `Summary.of`."""
        return self.manifest["summary"]

    def file(self, name: str) -> Path:
        """Return the path of one file, after checking its SHA-256 before any parser sees it.

        Raises IntegrityError (E-INT-001) for a missing or changed file.
        """
        path = self.path / name
        entry = self.manifest["files"].get(name)
        if entry is None or not path.is_file() or sha256_of_file(path) != entry["sha256"]:
            raise IntegrityError(
                "E-INT-001",
                "is not the file that was written (its SHA-256 differs or it is missing).",
                fix="run the same command again: the stage finds the damage and rebuilds it.",
                file=path,
            )
        return path


Modules = str | tuple[str, ...]
Config = BaseModel | Mapping[str, object]
Inputs = Mapping[str, str | Artefact]


def home() -> Path:
    """The project folder that holds `data/` and `mlruns/`: RNNFLOW_HOME, else the working directory."""
    return Path(os.environ.get("RNNFLOW_HOME", ".")).resolve()


@contextlib.contextmanager
def refreshing(enabled: bool) -> Generator[None]:
    """Make every stage in this block recompute, whatever is cached."""
    token = _refresh.set(enabled)
    try:
        yield
    finally:
        _refresh.reset(token)


def build(
    stage: str,
    write: Callable[[Path], Summary],
    *,
    module: Modules,
    config: Config,
    inputs: Inputs = {},
    resume: bool = False,
) -> Artefact:
    """Return the stage's artefact for this configuration and these inputs, computing it at most once.

    `write` fills an empty folder and returns the summary.
    `inputs` names content digests or artefacts; `module` names where the
    code of the stage begins: its `__name__`, or that and the one that does a kind's part of it.
    With `resume`, `write` finds the folder as a killed build left it.
    """
    started = time.perf_counter()
    origin = _origin(stage, module, config, inputs)
    folder = _folder_of(origin)
    with sole_builder(folder):
        cached = not _refresh.get() and find_whole(folder) is not None
        if not cached:
            _compute(folder, write, origin, resume=resume)
    return _reference(folder, cached=cached, wall_s=time.perf_counter() - started)


def open_artefact(reference: str) -> Artefact:
    """Find a committed artefact by its reference, `stage/key`.

    Raises IntegrityError (E-INT-004) if this project holds none.
    """
    folder = home() / "data" / reference
    if not re.fullmatch(r"[a-z_]+/[0-9a-f]{24}", reference) or not (folder / MANIFEST).is_file():
        raise IntegrityError(
            "E-INT-004",
            f"there is no artefact {quoted(reference)} in {home() / 'data'}.",
            fix="set RNNFLOW_HOME to the project folder of the run that made it, or run that stage again.",
        )
    return _reference(folder)


def locate(stage: str, *, module: Modules, config: Config, inputs: Inputs = {}) -> Path:
    """Return the folder in which `build` puts what it computes from the same arguments."""
    return _folder_of(_origin(stage, module, config, inputs))


def partial_of(folder: Path) -> Path:
    """The folder in which an artefact is built, and which a killed build leaves behind."""
    return folder.with_name(f"{folder.name}.partial")


def find_whole(folder: Path) -> Artefact | None:
    """Return the artefact in a folder if it is committed and undamaged; a damaged one is reported."""
    if not (folder / MANIFEST).exists():
        return None
    artefact = _reference(folder)
    try:
        for name in artefact.manifest["files"]:
            artefact.file(name)
    except IntegrityError as error:
        logger.warning("%s", error)
        return None
    return artefact


def _origin(stage: str, module: Modules, config: Config, inputs: Inputs) -> Origin:
    modules = (module,) if isinstance(module, str) else module
    return {
        "stage": stage,
        "config": config.model_dump(mode="json") if isinstance(config, BaseModel) else dict(config),
        "inputs": {name: value.digest if isinstance(value, Artefact) else value for name, value in inputs.items()},
        **fingerprint.describe_code(*modules),
    }


def _folder_of(origin: Origin) -> Path:
    return home() / "data" / origin["stage"] / fingerprint.digest_of(origin)[:24]


def _compute(folder: Path, write: Callable[[Path], Summary], origin: Origin, *, resume: bool) -> None:
    partial = partial_of(folder)
    if not resume:
        shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    try:
        summary = write(partial)
    except InputError:  # the input has to change, and with it the key: nothing will go on from here
        shutil.rmtree(partial)
        raise
    _commit(partial, folder, origin, summary, wall_s=time.perf_counter() - started)


def _commit(partial: Path, folder: Path, origin: Origin, summary: Summary, *, wall_s: float) -> None:
    files = sorted(path for path in partial.rglob("*") if path.is_file() and path.name != MANIFEST)
    for path in files:
        sync(path)
    manifest: Manifest = {
        "format": MANIFEST_FORMAT,
        **origin,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "wall_s": round(wall_s, 3),
        "files": {
            path.relative_to(partial).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_of_file(path)}
            for path in files
        },
        "summary": summary.as_json(),
    }
    write_durably(partial / MANIFEST, json.dumps(manifest, indent=2, allow_nan=False).encode())
    with _moved_aside(folder):
        partial.rename(folder)
    sync(folder.parent)


@contextlib.contextmanager
def _moved_aside(folder: Path) -> Generator[None]:
    """Make room for a rebuilt artefact; open files of the old one stay readable."""
    aside = folder.with_name(f"{folder.name}.old")
    if folder.exists():
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    yield
    shutil.rmtree(aside, ignore_errors=True)


def _reference(folder: Path, *, cached: bool = True, wall_s: float = 0.0) -> Artefact:
    manifest: Manifest = json.loads((folder / MANIFEST).read_bytes())
    contents: dict[str, Any] = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    contents |= {name: manifest["summary"][name] for name in OF_TIMES if name in manifest["summary"]}
    return Artefact(
        stage=manifest["stage"],
        key=folder.name,
        path=folder,
        digest=fingerprint.digest_of(contents),
        rows=manifest["summary"]["rows"],
        cached=cached,
        wall_s=round(wall_s, 3),
    )
