"""A classifier's folder as an MLflow model that loads where this repository is absent."""

import shutil
import tempfile
from importlib import metadata
from pathlib import Path

from rnnmodels.durable import sha256_of_file
from tasks import fingerprint, tracking
from tasks.text_classifier import SERVING

SERVED_MODEL = "tasks.served_model"
INPUT_EXAMPLE = ["One of the best films of the year.", "Dull from start to finish."]


def content_of(classifier: Path) -> str:
    """SHA-256 over a classifier's files, the code that serves them and its requirements."""
    code = fingerprint.code_digest(SERVED_MODEL)
    return fingerprint.digest_of([sha256_of_file(classifier / SERVING), code, pip_requirements()])


def pip_requirements() -> list[str]:
    """Exact versions of the libraries that the served code imports."""
    versions = {**fingerprint.installed_versions(SERVED_MODEL), "pydantic": metadata.version("pydantic")}
    installed = {name: version for name, version in versions.items() if name != "python" and version != "absent"}
    # A build tag such as `+cpu` is no release that a package index offers.
    return [f"{name}=={version.partition('+')[0]}" for name, version in sorted(installed.items())]


def package_model(classifier: Path, folder: Path, **mlflow_model: object) -> None:
    """Write a classifier as an MLflow model: its files, the code that reads them, signature and requirements."""
    mlflow = tracking.load_mlflow()
    with tempfile.TemporaryDirectory() as code:
        packages = copy_served_code(Path(code))
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(fingerprint.reached_modules(SERVED_MODEL)[SERVED_MODEL]),
            artifacts={"classifier": str(classifier)},
            code_paths=[str(package) for package in packages],
            mlflow_model=mlflow.models.Model(**mlflow_model),
            input_example=INPUT_EXAMPLE,
            pip_requirements=pip_requirements(),
        )


def copy_served_code(folder: Path) -> list[Path]:
    """Copy the modules that the served model reaches, and no others; returns their packages."""
    for name, path in fingerprint.reached_modules(SERVED_MODEL).items():
        if name not in fingerprint.PROJECT_PACKAGES:
            target = folder / f"{name.replace('.', '/')}.py"
            for package in target.relative_to(folder).parents[:-1]:
                (folder / package).mkdir(exist_ok=True, parents=True)
                (folder / package / "__init__.py").touch()
            shutil.copyfile(path, target)
    return [folder / package for package in fingerprint.PROJECT_PACKAGES]
