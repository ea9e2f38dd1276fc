"""What a stage's result depends on: its configuration, its inputs, its code, its libraries.

Prefect keys a task on its own source text, which serves stale results when a helper changes.
Here the key covers every module that a stage's module reaches through imports: of this project, and of the package
that the stage's module is in, where another brings the kind. A process reads each module once, as Python itself does.
"""

import ast
import functools
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec, resolve_name
from itertools import accumulate
from pathlib import Path
from typing import TypedDict

PROJECT_PACKAGES = ("tasks", "rnnmodels")

NEVER_AT_RUN_TIME = ("TYPE_CHECKING", "typing.TYPE_CHECKING")

# Distributions whose version can change the bytes of an artefact, by the name they are imported under.
SHAPING_LIBRARIES = {
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "mlflow": "mlflow",
    "numpy": "numpy",
    "polars": "polars",
    "pyarrow": "pyarrow",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "tokenizers": "tokenizers",
    "torch": "torch",
}


def canonical_json(value: object) -> str:
    """Serialise to one spelling per value; what JSON cannot hold is an error, never a guess."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_of(value: object) -> str:
    """SHA-256 of a JSON value, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@functools.cache
def reached_modules(*modules: str) -> Mapping[str, Path]:
    """Find every module of our packages and of theirs that `modules` import, directly or not, themselves included."""
    packages = {*PROJECT_PACKAGES, *map(_root, modules)}
    found: dict[str, Path] = {}
    pending = list(modules)
    while pending:
        name = pending.pop()
        path = None if name in found or _root(name) not in packages else _module_path(name)
        if path is not None:
            found[name] = path
            pending.extend(_imports_of(name, path))
            # What a package of others does as it is imported may matter; ours do nothing.
            pending.extend(() if _is_ours(name) else accumulate(name.split(".")[:-1], "{}.{}".format))
    return dict(sorted(found.items()))


class Code(TypedDict):
    """The code's part in a stage's key: the digest of all that it reaches, and the libraries' versions."""

    code: str
    libraries: dict[str, str]


def describe_code(*modules: str) -> Code:
    """The code's part in a stage's key: `code`, a digest of all it reaches, and the versions of `libraries`."""
    return {"code": code_digest(*modules), "libraries": installed_versions(*modules)}


def code_digest(*modules: str) -> str:
    """SHA-256 of the code a stage reaches; comments, docstrings and layout do not count."""
    return digest_of({name: _source_digest(path) for name, path in reached_modules(*modules).items()})


def installed_versions(*modules: str) -> dict[str, str]:
    """Versions of the libraries that modules reached from `modules` import and that can change what these make.

    Of modules that are not ours nobody knows which do, so all count.
    """
    reached = reached_modules(*modules)
    imports = {name: set(map(_root, _imports_of(name, path))) for name, path in reached.items()}
    shaping = {SHAPING_LIBRARIES[name] for name in set().union(*imports.values()) & SHAPING_LIBRARIES.keys()}
    foreign = set().union(*(names for name, names in imports.items() if not _is_ours(name)))
    others = _distributions_of(foreign - {*PROJECT_PACKAGES, *map(_root, reached)})
    versions = {name: _installed_version(name) for name in sorted(shaping | others)}
    return {"python": f"{sys.version_info.major}.{sys.version_info.minor}", **versions}


def _distributions_of(packages: set[str]) -> set[str]:
    """The installed distributions that bring packages, those of the standard library aside."""
    wanted = packages - sys.stdlib_module_names - SHAPING_LIBRARIES.keys()
    return {distribution for package in wanted for distribution in _installed_packages().get(package, ())}


@functools.cache
def _installed_packages() -> Mapping[str, list[str]]:
    """Importable packages, and the distributions that bring each; asking them takes a second."""
    return metadata.packages_distributions()


def _root(name: str) -> str:
    return name.partition(".")[0]


def _is_ours(name: str) -> bool:
    return _root(name) in PROJECT_PACKAGES


@functools.cache
def _module_path(name: str) -> Path | None:
    # Asking importlib for `tasks.store.artefacts.Artefact` would import its module; looking for files imports nothing.
    package, *parts = name.split(".")
    spec = find_spec(package)
    if spec is None:
        return None
    if spec.submodule_search_locations is None:  # a package of one file
        return Path(spec.origin) if spec.origin is not None and spec.has_location and not parts else None
    paths = [Path(folder).joinpath(*parts) for folder in spec.submodule_search_locations]
    files = (file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py"))
    return next((file for file in files if file.is_file()), None)


@functools.cache
def _imports_of(name: str, path: Path) -> list[str]:
    """What a module imports, by full names."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports = _read_module(path).imports
    return [resolve_name(one, package) if one.startswith(".") else one for one in imports]


@functools.cache
def _source_digest(path: Path) -> str:
    # A template next to its module (`report.html.j2` next to `report.py`) is part of its code.
    resources = sorted(p for p in path.parent.glob(f"{path.stem}.*") if p.suffix not in (".py", ".pyc"))
    digests = [hashlib.sha256(resource.read_bytes()).hexdigest() for resource in resources]
    return digest_of([_read_module(path).code, *digests])


@dataclass(frozen=True)
class _Module:
    """What counts of a module's source: the names it imports anywhere, and its code without prose."""

    imports: tuple[str, ...]
    code: str


class _WithoutTypeChecking(ast.NodeTransformer):
    """Drops what is imported for the eyes of a type checker only, which no run ever executes."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test) in NEVER_AT_RUN_TIME else node


@functools.cache
def read_source(path: Path) -> bytes:
    """The source of a module as this process has read it first: what keys count is what is packaged."""
    return path.read_bytes()


@functools.cache
def _read_module(path: Path) -> _Module:
    tree = _WithoutTypeChecking().visit(ast.parse(read_source(path)))
    nodes = list(ast.walk(tree))
    imports = [name for node in nodes for name in _names_imported_by(node)]
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            _drop_docstring(node)
    return _Module(tuple(imports), ast.dump(tree))


def _names_imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        origin = "." * node.level + (node.module or "")
        inside = origin if origin.endswith(".") else f"{origin}."
        # `from tasks.store import artefacts` may name a module; whether it does is seen when its file is looked for.
        return [origin, *(f"{inside}{alias.name}" for alias in node.names)]
    return []


def _drop_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    if ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:] or [ast.Pass()]


@functools.cache
def _installed_version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"
