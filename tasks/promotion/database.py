"""Where the ledger lies and how it is opened: `mlruns/ledger.db`, or any database that SQLAlchemy reaches."""

import contextlib
import functools
import os
import uuid
from collections.abc import Generator
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, inspect, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tasks.errors import ServiceError, quoted
from tasks.promotion.schema import IDENTITY, METADATA, PROMOTIONS
from tasks.store.fingerprint import digest_of
from tasks.tracking import mlflow_client

SQLITE = "sqlite"
BUSY_S = 30.0  # how long SQLite waits for another process that writes


def ledger_setting() -> str:
    """Where the user wants the ledger; empty for `mlruns/`."""
    return os.environ.get("RNNFLOW_LEDGER_URL", "")


def ledger_url() -> str:
    """Where the ledger is: RNNFLOW_LEDGER_URL, else a file in `mlruns/`, one for each MLflow store."""
    name = "ledger.db" if mlflow_client.is_own_store() else f"ledger-{digest_of(mlflow_client.store_name())[:12]}.db"
    return ledger_setting() or f"{SQLITE}:///{mlflow_client.mlruns() / name}"


def ledger_place() -> str:
    """The ledger's file, or its address without the password."""
    try:
        url = make_url(ledger_url())
    except ArgumentError:
        return "RNNFLOW_LEDGER_URL"
    return str(url.database) if url.get_backend_name() == SQLITE else url.render_as_string(hide_password=True)


def is_file() -> bool:
    """Tell whether the ledger is a file on this machine."""
    return make_url(ledger_url()).get_backend_name() == SQLITE


@contextlib.contextmanager
def reading() -> Generator[Connection | None]:
    """Open the ledger; None if nothing was ever written to it.

    Raises ServiceError (E-LED-003).
    """
    with _answering():
        engine = _engine(ledger_url())
        if engine.dialect.name == SQLITE and not _file_of(engine).exists():
            yield None
            return
        with engine.connect() as connection:
            yield connection if inspect(connection).has_table(PROMOTIONS.name) else None


@contextlib.contextmanager
def writing() -> Generator[Connection]:
    """Open the ledger for one transaction; the first one creates its tables.

    Raises ServiceError (E-LED-003).
    """
    with _answering():
        engine = _engine(ledger_url())
        if engine.dialect.name == SQLITE:
            _file_of(engine).parent.mkdir(parents=True, exist_ok=True)
        _ensure_tables(engine)
        with _transaction(engine) as connection:
            yield connection


def _file_of(engine: Engine) -> Path:
    assert engine.url.database is not None
    return Path(engine.url.database)


def _ensure_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        if _is_complete(connection):
            return
    try:
        with _transaction(engine) as connection:
            METADATA.create_all(connection)
            connection.execute(IDENTITY.insert().values(number=1, identity=uuid.uuid4().hex))
    except SQLAlchemyError:
        # Another process may have been faster; its tables are as good as ours.
        with engine.connect() as connection:
            if not _is_complete(connection):
                raise


def _is_complete(connection: Connection) -> bool:
    """Tell whether nothing is missing; the identity is made last."""
    return inspect(connection).has_table(IDENTITY.name)


@contextlib.contextmanager
def _transaction(engine: Engine) -> Generator[Connection]:
    with engine.begin() as connection:
        if engine.dialect.name == SQLITE:
            # Python's driver begins no transaction for DDL by itself: a kill would leave a table half protected.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


@functools.cache
def _engine(url: str) -> Engine:
    # No pool: a command makes few calls, and no connection may pass into another process.
    local = {"connect_args": {"timeout": BUSY_S}} if make_url(url).get_backend_name() == SQLITE else {}
    return create_engine(url, poolclass=NullPool, **local)


@contextlib.contextmanager
def _answering() -> Generator[None]:
    try:
        yield
    except (SQLAlchemyError, ImportError) as error:
        remedy = "check RNNFLOW_LEDGER_URL and its driver, or restore the database from a backup."
        if "locked" in str(error):
            remedy = "wait for the process that writes to it, or end it, then run the same command again."
        raise ServiceError(
            "E-LED-003",
            f"the ledger of promotions failed: {quoted(str(error).partition(chr(10))[0])}.",
            fix=remedy,
            file=ledger_place(),
        ) from error
