"""The empty databases of MLflow and Prefect, kept as SQL: their own migrations take seconds of a first run.

The SQL holds for the version that its first line names; any other version makes its database itself.
`make databases` writes the files anew, and a test compares them with what the installed versions make.
"""

import gzip
import importlib.metadata
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

# Rows that belong to a project: MLflow's first experiment has a date and an address.
LEFT_OUT = 'INSERT INTO "experiments"'


def create_empty(package: str, database: Path) -> bool:
    """Write the empty database of an installed package, unless its version is another than the kept one."""
    first_line, script = _kept(package)
    if first_line != _first_line(package):
        return False
    draft = database.with_name(f"{database.name}.draft")
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.executescript(script)
        draft.write_bytes(memory.serialize())
    draft.rename(database)
    return True


def dump(package: str, database: Path) -> str:
    """The SQL that makes a database without rows of a project, under the version of the package that made it."""
    with closing(sqlite3.connect(database)) as made:
        statements = [statement for statement in made.iterdump() if not statement.startswith(LEFT_OUT)]
    return "\n".join([_first_line(package), *statements, ""])


def file_of(package: str) -> Path:
    """Where the SQL of a package is kept."""
    return Path(__file__).with_name(f"{package}.sql.gz")


def _kept(package: str) -> tuple[str, str]:
    first_line, _, script = gzip.decompress(file_of(package).read_bytes()).decode().partition("\n")
    return first_line, script


def _first_line(package: str) -> str:
    return f"-- {package} {importlib.metadata.version(package)}"


if __name__ == "__main__":
    _, name, made_by_package = sys.argv
    file_of(name).write_bytes(gzip.compress(dump(name, Path(made_by_package)).encode(), mtime=0))
