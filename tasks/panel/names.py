"""Names of series that several columns tell apart: `north/bread`, one readable text from which the parts come back."""

import re
from collections.abc import Sequence

import polars as pl

# What is marked within a part, so that ("a/b", "c") and ("a", "b/c") have different names.
MARKED = re.compile(r"([\\/])")
PART = re.compile(r"((?:[^\\/]|\\.)*)(?:/|$)", re.DOTALL)


def join_names(columns: Sequence[str]) -> pl.Expr:
    r"""The name of a row's series: the cell of one column as it stands, or those of several joined by `/`.

    Within a part `/` and `\` get a `\` before them, so different parts never share a name.
    """
    if len(columns) == 1:
        return pl.col(columns[0])
    return pl.concat_str([pl.col(column).str.replace_all(MARKED.pattern, r"\$1") for column in columns], separator="/")


def split_name(name: str, num_columns: int) -> tuple[str, ...]:
    """The parts of a name that `join_names` made of that many columns."""
    if num_columns == 1:
        return (name,)
    parts = PART.findall(name)[:num_columns]
    return tuple(re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in parts)
