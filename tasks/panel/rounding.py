"""What 32-bit floats leave of numbers once scaled: a swing far below their level may be less than a step of theirs."""

from collections.abc import Sequence

import polars as pl

from tasks.errors import quoted
from tasks.panel.scaler import ROUNDING, Scaler

# Rounding above this share of a series' deviation is not passed over: some 30 steps of a float to a deviation.
TOLERATED = 0.01


def is_rounded(number: pl.Expr, stored: pl.Expr) -> pl.Expr:
    """Whether numbers vary by so little that what is stored of them, brought back to their units, is mostly rounding.

    Numbers that stand still lose nothing; nor do those whose swing is itself the rounding of 64-bit floats.
    """
    deviation = number.std(ddof=0)
    moves = (number.min() < number.max()) & (deviation > ROUNDING * number.abs().max())
    return moves & (((stored - number) ** 2).mean().sqrt() > TOLERATED * deviation)


def store_and_restore(scaler: Scaler, name: str) -> pl.Expr:
    """What a column of a frame `with_figures` is after it was scaled, stored and brought back to its units."""
    stored = scaler.scaled(name).cast(pl.Float32).cast(pl.Float64)
    return stored * scaler.figure(name, "scale") + scaler.figure(name, "centre")


def find_rounded(rows: pl.DataFrame, scaler: Scaler, by: Sequence[str]) -> pl.DataFrame:
    """Find groups of rows, such as the series of each split, whose swing is lost: their keys, and `column`."""
    groups = scaler.with_figures(rows).group_by(by, maintain_order=True)
    return pl.concat(
        groups.agg(is_rounded=is_rounded(pl.col(name), store_and_restore(scaler, name)))
        .filter("is_rounded")
        .select(*by, column=pl.lit(name))
        for name in scaler.columns
    )


def describe_rounded(series: pl.Series, *, column: str, splits: Sequence[str], remedy: str) -> str:
    """Say whose swing is lost, and what to set."""
    names = series.unique(maintain_order=True)
    return (
        f"the variation of {len(names):,} series such as {quoted(names[0])} in {quoted(column)} is lost in rounding "
        f"to 32-bit floats ({', '.join(splits)} rows), because it is so small compared with their scale or level; "
        f"results for these series cannot be trusted: {remedy}"
    )
