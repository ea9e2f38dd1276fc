"""The text of a row whose text stands in several columns."""

import polars as pl

from tasks.text.source import TextSource

PART = "text "  # how the roles of several text columns begin


def with_text(raw: pl.DataFrame, source: TextSource) -> pl.DataFrame:
    """Join the parts of each text; empty parts are left out, and a text of which all are missing is missing."""
    parts = [role for role in raw.columns if role.startswith(PART)]
    if not parts:
        return raw
    filled = [pl.when(pl.col(part) != "").then(part) for part in parts]
    joined = pl.concat_str(filled, separator=source.text_separator, ignore_nulls=True)
    is_there = pl.any_horizontal(pl.col(parts).is_not_null())
    return raw.with_columns(text=pl.when(is_there).then(joined)).drop(parts)
