"""The text of a row whose text stands in several columns."""

from collections.abc import Mapping

import polars as pl

from tasks.text.source import PlainTextSource

PART = "text "  # how the roles of several text columns begin


def with_text(raw: pl.DataFrame, source: PlainTextSource) -> pl.DataFrame:
    """Join the parts of each text; empty parts are left out, and a text of which all are missing is missing."""
    parts = [role for role in raw.columns if role.startswith(PART)]
    if not parts:
        return raw
    filled = [pl.when(pl.col(part) != "").then(part) for part in parts]
    joined = pl.concat_str(filled, separator=source.text_separator, ignore_nulls=True)
    is_there = pl.any_horizontal(pl.col(parts).is_not_null())
    return raw.with_columns(text=pl.when(is_there).then(joined)).drop(parts)


def text_of(row: Mapping[str, str | None], source: PlainTextSource) -> str | None:
    """The text of one row by the names of its columns, as `with_text` and the readers have it."""
    cells = (row.get(column) for column in source.text_columns)
    parts = [cell for cell in cells if cell is not None and cell.strip() not in source.missing_values]
    return source.text_separator.join(filter(None, parts)) if parts else None
