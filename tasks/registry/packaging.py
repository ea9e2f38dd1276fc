"""A served model's folder as an MLflow model that loads where this repository is absent."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from rnnmodels.durable import sha256_of_file
from tasks.registry.served_parts import SERVING, served_modules
from tasks.store import fingerprint
from tasks.tracking import mlflow_client

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.pyfunc import PyFuncModel


@dataclass(frozen=True, kw_only=True)
class Packaging:
    """How a kind of model is packaged: what MLflow calls the type, and an input to show.

    params: what may be said with an input, and the value that holds where nothing is said; with them MLflow stores a
    signature. No other model has one: MLflow would refuse whole numbers where its example holds floats or texts, read
    no CSV with times of any type, and pass on the first column alone of a table that is given to a model of texts. The
    model reads the columns itself, as its training rows were read.
    """

    model_type: str
    input_example: "pd.DataFrame | list[str]"
    takes_table: bool = False
    params: Mapping[str, float] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the example, if it is a table."""
        return [] if isinstance(self.input_example, list) else list(self.input_example.columns)


def content_of(parts: Path, module: str) -> str:
    """SHA-256 over a model's files, the code that serves them and its requirements."""
    modules = served_modules(parts, module)
    code = fingerprint.code_digest(*modules)
    return fingerprint.digest_of([sha256_of_file(parts / SERVING), code, pip_requirements(*modules)])


def pip_requirements(*modules: str) -> list[str]:
    """Exact versions of the libraries that the served code imports."""
    versions = {**fingerprint.installed_versions(*modules), "pydantic": metadata.version("pydantic")}
    installed = {name: version for name, version in versions.items() if name != "python" and version != "absent"}
    # A build tag such as `+cpu` is not part of a release on a package index.
    return [f"{name}=={version.partition('+')[0]}" for name, version in sorted(installed.items())]


def package_model(parts: Path, folder: Path, packaging: Packaging, *, module: str, **mlflow_model: object) -> None:
    """Write a model's folder as an MLflow model: its files, the code that reads them, requirements.

    `module` is what MLflow runs when the model is loaded.
    """
    mlflow, modules, params = mlflow_client.load_mlflow(), served_modules(parts, module), dict(packaging.params)
    with tempfile.TemporaryDirectory() as code:
        packages = copy_served_code(Path(code), *modules)
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(fingerprint.reached_modules(module)[module]),
            artifacts={"parts": str(parts)},
            code_paths=[str(package) for package in packages],
            mlflow_model=mlflow.models.Model(**mlflow_model),
            # With the parameters MLflow stores their types and values.
            input_example=(packaging.input_example, params) if params else packaging.input_example,
            signature=None if params else False,
            pip_requirements=pip_requirements(*modules),
        )


def ask_for_table(served: "PyFuncModel", table: pl.DataFrame) -> pl.DataFrame:
    """Ask a loaded model as its users do, with a table of pandas."""
    import pandas as pd

    answers = served.predict(table.to_pandas())
    assert isinstance(answers, pd.DataFrame)
    return pl.from_pandas(answers)


def copy_served_code(folder: Path, *modules: str) -> list[Path]:
    """Copy the modules that the served model reaches, and no others; returns their packages.

    A package that is not reached itself, as ours are not, is there as an empty one.
    """
    reached = fingerprint.reached_modules(*modules)
    for name, path in reached.items():
        target = folder.joinpath(*name.split("."))
        target = target / path.name if path.name == "__init__.py" else target.with_suffix(".py")
        target.parent.mkdir(exist_ok=True, parents=True)
        target.write_bytes(fingerprint.read_source(path))
        for package in target.relative_to(folder).parents[:-1]:
            (folder / package / "__init__.py").touch()
    return sorted(folder.iterdir())
