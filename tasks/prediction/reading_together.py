"""Several tables read as one, with each row as if its table had been read alone.

A column before those of the ids tells the tables apart. What is done to rows may depend on all that are read, but where
nothing was done, nothing refused and there is nothing to report, each row is independent.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from tasks.errors import RnnflowError
from tasks.panel.cells import ONLY_SERIES
from tasks.panel.served_table import PanelModel, ReadTable, read_some

TABLE = "\0table"
SEPARATOR = "/"
MAX_ID_COLUMNS = 8


def read_together(model: PanelModel, tables: Sequence[pl.DataFrame]) -> list[Callable[[], ReadTable]] | None:
    """Read tables in one go; None if their columns differ, or if there is anything to report about their rows."""
    settings = model.serving.settings_for(Path("table.parquet"), **model.table_layout)
    ids = settings.id_columns
    are_alike = len({tuple(table.schema.items()) for table in tables}) == 1
    if len(tables) == 1 or not are_alike or settings.one_series_per_file or len(ids) >= MAX_ID_COLUMNS:
        return None
    marked = (table.with_columns(pl.lit(str(number)).alias(TABLE)) for number, table in enumerate(tables))
    try:
        read = read_some(model, pl.concat(marked), id_columns=(TABLE, *ids))
    except RnnflowError:
        return None
    # A name that contains an escape would be spelled differently alone.
    if read.said or read.refused or read.refusals or read.rows["series"].str.contains("\\", literal=True).any():
        return None
    return [partial(_take, read, str(number), bool(ids)) for number in range(len(tables))]


def _take(read: ReadTable, number: str, has_ids: bool) -> ReadTable:
    """The rows of a table, their series named as in it."""
    prefix, name = f"{number}{SEPARATOR}", pl.col("series")
    own = read.rows.filter(name.str.starts_with(prefix) if has_ids else name == number)
    named = own.with_columns(series=name.str.strip_prefix(prefix) if has_ids else pl.lit(ONLY_SERIES))
    return replace(read, rows=named)
