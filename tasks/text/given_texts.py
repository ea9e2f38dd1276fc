"""Texts that are given to a registered model: a list of them, or a table with the text columns of its training rows.

This module travels with every registered model of texts.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from tasks.errors import InputError
from tasks.sources.given_columns import check_columns
from tasks.sources.row_checks import settle_cells
from tasks.sources.settings import FileSettings
from tasks.text.joined import PART, with_text
from tasks.text.readable import fault_of_text
from tasks.text.source import TextSource

if TYPE_CHECKING:
    import pandas as pd

TEXT = "text"


def texts_of(given: object, source: FileSettings) -> list[object]:
    """The texts of a list, or of a table, whose columns are joined as those of the training rows were.

    The only column of a table is the text, whatever it is called, if the model was trained on one. A text that is
    missing is None. Raises InputError: E-TEXT-001 for what holds no texts, E-REG-012 for a column that is missing.
    """
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        return list(_texts_of_table(given, source))
    if isinstance(given, str | bytes | dict) or not isinstance(given, Iterable):
        problem = f"got {type(given).__name__}, expected a list of texts or a table."
        raise InputError("E-TEXT-001", problem, fix='pass a list, as in ["one text"].')
    return list(given)


def _texts_of_table(table: "pd.DataFrame", source: FileSettings) -> pl.Series:
    roles = {role: name for role, name in source.named_columns().items() if role == TEXT or role.startswith(PART)}
    if table.shape[1] == len(roles) == 1:
        table = table.set_axis([*roles.values()], axis="columns")
    check_columns(list(table.columns), roles.values())
    raw = settle_cells(pl.DataFrame({role: _read_cells(table[name]) for role, name in roles.items()}), source)
    return (with_text(raw, source) if isinstance(source, TextSource) else raw)[TEXT]


def _read_cells(column: "pd.Series") -> pl.Series:
    """The cells of a column, missing ones null; raises InputError (E-TEXT-001) for the first that is not a text."""
    cells = [None if is_missing else cell for cell, is_missing in zip(column, column.isna(), strict=True)]
    for row, cell in enumerate(cells):
        fault = None if cell is None else fault_of_text(cell)
        if fault is not None:
            problem, fix = f"text {row}: {fault}.", "leave this text out or correct it."
            raise InputError("E-TEXT-001", problem, fix=fix, column=str(column.name))
    return pl.Series(cells, dtype=pl.String)
