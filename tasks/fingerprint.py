"""What a stage's result depends on: its configuration, its inputs, its code, its libraries.

Prefect keys a task on its own source text, which serves stale results when a helper changes.
Here the key covers every project module that a stage's module reaches through imports.
"""

import ast
import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
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


def reached_modules(*modules: str) -> dict[str, Path]:
    """Find every project module that `modules` import, directly or not, themselves included."""
    found: dict[str, Path] = {}
    pending = list(modules)
    while pending:
        name = pending.pop()
        path = None if name in found else _module_path(name)
        if path is not None:
            found[name] = path
            pending.extend(_imported_names(path, PROJECT_PACKAGES))
    return dict(sorted(found.items()))


class Code(TypedDict):
    """What a stage's result owes to its code: the digest of all that it reaches, and the libraries' versions."""

    code: str
    libraries: dict[str, str]


def describe_code(*modules: str) -> Code:
    """What a stage's result owes to its code: `code`, a digest of all it reaches, and the versions of `libraries`."""
    return {"code": code_digest(*modules), "libraries": installed_versions(*modules)}


def code_digest(*modules: str) -> str:
    """SHA-256 of the code a stage reaches; comments, docstrings and layout do not count."""
    return digest_of({name: _source_digest(path) for name, path in reached_modules(*modules).items()})


def installed_versions(*modules: str) -> dict[str, str]:
    """Versions of the libraries, reached from `modules`, that can change its output."""
    imported = {
        name.partition(".")[0]
        for path in reached_modules(*modules).values()
        for name in _imported_names(path, tuple(SHAPING_LIBRARIES))
    }
    versions = {SHAPING_LIBRARIES[name]: _installed_version(SHAPING_LIBRARIES[name]) for name in sorted(imported)}
    return {"python": f"{sys.version_info.major}.{sys.version_info.minor}", **versions}


def _module_path(name: str) -> Path | None:
    # Asking importlib for `tasks.store.Artefact` would import `tasks.store`; looking for files imports nothing.
    package, *parts = name.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent.joinpath(*parts)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _imported_names(path: Path, packages: tuple[str, ...]) -> Iterator[str]:
    return (name for name in _read_module(path.read_bytes()).imports if name.partition(".")[0] in packages)


def _source_digest(path: Path) -> str:
    # A template beside its module (`report.html.j2` beside `report.py`) is part of its code.
    resources = sorted(p for p in path.parent.glob(f"{path.stem}.*") if p.suffix not in (".py", ".pyc"))
    digests = [hashlib.sha256(resource.read_bytes()).hexdigest() for resource in resources]
    return digest_of([_read_module(path.read_bytes()).code, *digests])


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
def _read_module(source: bytes) -> _Module:
    tree = _WithoutTypeChecking().visit(ast.parse(source))
    nodes = list(ast.walk(tree))
    imports = [name for node in nodes for name in _names_imported_by(node)]
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            _drop_docstring(node)
    return _Module(tuple(imports), ast.dump(tree))


def _names_imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module is not None:
        # `from tasks import store` may name a module; whether it does is seen when its file is looked for.
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _drop_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    if ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:] or [ast.Pass()]


def _installed_version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"
