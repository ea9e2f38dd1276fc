"""Frames of a Python program as files of a source, so that their rows are read, checked and keyed like all others."""

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from rnnmodels.durable import sha256_of_file, sync
from tasks.errors import InputError, quoted
from tasks.store.artefacts import home

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "frames"


def save_frame(frame: "pl.DataFrame | pd.DataFrame") -> Path:
    """Write a frame to `data/frames/` under its content, and return the path for a recipe's source.

    The same frame gives the same file, so a run over it finds what an earlier one computed; a frame that differs gives
    another file, and leaves the one that earlier recipes name as it is.

    Raises InputError (E-SRC-014) for what is not a table of plain columns.
    """
    folder = home() / "data" / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{os.getpid()}-{threading.get_ident()}.tmp"
    write_frame(frame, temporary)
    path = folder / f"{sha256_of_file(temporary)[:24]}.parquet"
    temporary.replace(path)
    sync(folder)
    return path


def write_frame(frame: "pl.DataFrame | pd.DataFrame", path: Path) -> None:
    """Write a frame durably as Parquet; columns of categories become texts.

    Neither compressed nor with dictionaries: a reader's limits on what a file may expand to are then never met.

    Raises InputError (E-SRC-014) for what is not a table of plain columns.
    """
    import pyarrow.parquet as pq

    table = as_polars(frame).with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    unreadable = [name for name, dtype in table.schema.items() if dtype.is_nested() or dtype == pl.Object]
    if unreadable:
        fix = "give it one number, text or time per row."
        raise _refused(f"holds {table.schema[unreadable[0]]}, expected plain values.", fix, column=unreadable[0])
    pq.write_table(table.to_arrow(), path, compression="none", use_dictionary=False)
    sync(path)


def as_polars(frame: "pl.DataFrame | pd.DataFrame") -> pl.DataFrame:
    """Return a frame of Polars or pandas as one of Polars, a named index as columns.

    Raises InputError (E-SRC-014).
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if type(frame).__module__.partition(".")[0] != "pandas" or not hasattr(frame, "columns"):
        fix = "collect a lazy frame first; make a frame of anything else."
        raise _refused(f"got {quoted(type(frame).__name__)}, expected a DataFrame of Polars or pandas.", fix)
    return _from_pandas(frame)


def _from_pandas(frame: "pd.DataFrame") -> pl.DataFrame:
    names, counts_rows = frame.index.names, frame.index.dtype.kind in "iu"
    if None in names and not (len(names) == 1 and counts_rows):
        fix = 'name it (frame.index.name = "time") to make it a column, or leave it out: frame.reset_index(drop=True).'
        raise _refused("the index has no name, and does not number rows.", fix)
    try:
        return pl.from_pandas(frame, include_index=None not in names)
    except (ValueError, TypeError, pl.exceptions.PolarsError) as error:
        fix = "give each column a name of its own and values of one type."
        raise _refused(f"cannot be read as a table: {quoted(error)}.", fix) from error


def _refused(problem: str, fix: str, *, column: str | None = None) -> InputError:
    return InputError("E-SRC-014", problem, fix=fix, file="frame", column=column)
