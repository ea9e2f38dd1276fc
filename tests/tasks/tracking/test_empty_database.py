"""The kept databases are what the installed versions make; `make databases` writes them anew."""

import gzip
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tasks.tracking import empty_database
from tasks.tracking.empty_database import create_empty, dump, file_of

UPGRADE = (sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y")
OPEN = "import sys, mlflow; mlflow.MlflowClient(sys.argv[1]).search_registered_models(max_results=1)"


def made_by_prefect(folder: Path) -> Path:
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    subprocess.run(UPGRADE, env={**environment, "PREFECT_HOME": str(folder)}, check=True, capture_output=True)
    return folder / "prefect.db"


def made_by_mlflow(folder: Path) -> Path:
    command = (sys.executable, "-c", OPEN, f"sqlite:///{folder}/mlflow.db")
    subprocess.run(command, check=True, capture_output=True)
    return folder / "mlflow.db"


def clauses_of(script: str) -> list[str]:
    """The lines of a script in an order of their own, as migrations write constraints in any."""
    return sorted(line.strip().removesuffix(",") for line in script.splitlines())


@pytest.mark.costly
@pytest.mark.parametrize(("package", "make"), [("prefect", made_by_prefect), ("mlflow", made_by_mlflow)])
def test_a_kept_database_is_what_the_installed_version_makes(tmp_path, package, make):
    kept = gzip.decompress(file_of(package).read_bytes()).decode()

    assert clauses_of(kept) == clauses_of(dump(make(tmp_path))), "run: make databases"


@pytest.mark.parametrize("package", ["prefect", "mlflow"])
def test_it_is_created_whole_and_empty(tmp_path, package):
    assert create_empty(package, tmp_path / "new.db")

    assert [path.name for path in tmp_path.iterdir()] == ["new.db"]
    assert dump(tmp_path / "new.db") == gzip.decompress(file_of(package).read_bytes()).decode()
    with closing(sqlite3.connect(tmp_path / "new.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_another_version_makes_its_database_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(empty_database.importlib.metadata, "version", lambda package: "99.0")

    assert not create_empty("mlflow", tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()
