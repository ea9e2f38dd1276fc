"""The empty databases of MLflow and Prefect, kept as SQL: their own migrations take seconds of a first run.

The SQL holds for the version in the name of its file; any other version makes its database itself.
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
    if not file_of(package).exists():
        return False
    draft = database.with_name(f"{database.name}.draft")
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.executescript(gzip.decompress(file_of(package).read_bytes()).decode())
        draft.write_bytes(memory.serialize())
    draft.rename(database)
    return True


def dump(database: Path) -> str:
    """The SQL that makes a database without rows of a project."""
    with closing(sqlite3.connect(database)) as made:
        statements = [statement for statement in made.iterdump() if not statement.startswith(LEFT_OUT)]
    return "\n".join([*statements, ""])


def file_of(package: str) -> Path:
    """Where the SQL of the installed version of a package is kept, if it is."""
    return Path(__file__).with_name(f"{package}-{importlib.metadata.version(package)}.sql.gz")


if __name__ == "__main__":
    _, name, made_by_package = sys.argv
    file_of(name).write_bytes(gzip.compress(dump(Path(made_by_package)).encode(), mtime=0))
