"""What 32-bit floats leave of a series once it is scaled: a swing far below its level may be less than their step."""

from collections.abc import Iterator, Sequence

import polars as pl

from tasks.errors import quoted
from tasks.series.frames import SPLITS
from tasks.series.scaler import ROUNDING, Scaler

# Rounding above this share of a series' deviation is not passed over: some 30 steps of a float to a deviation.
TOLERATED = 0.01


def find_rounded(rows: pl.DataFrame, scaler: Scaler, columns: Sequence[str]) -> pl.DataFrame:
    """Find series whose numbers are lost in rounding, in each split for itself: columns column, split, series.

    A series that stands still loses nothing; nor does one whose swing is the rounding of 64-bit floats.
    """
    measured = scaler.with_figures(rows).group_by("series", "split", maintain_order=True)
    return pl.concat(
        measured.agg(is_rounded=_is_rounded(scaler, name))
        .filter("is_rounded")
        .select(pl.lit(name).alias("column"), "split", "series")
        for name in columns
    )


def _is_rounded(scaler: Scaler, name: str) -> pl.Expr:
    number, scaled = pl.col(name), scaler.scaled(name)
    error = (scaled.cast(pl.Float32).cast(pl.Float64) - scaled) * scaler.figure(name, "scale")
    deviation = number.std(ddof=0)
    moves = (number.min() < number.max()) & (deviation > ROUNDING * number.abs().max())
    return moves & ((error**2).mean().sqrt() > TOLERATED * deviation)


def describe_rounded(rounded: pl.DataFrame, scaler: Scaler, *, num_series: int) -> Iterator[str]:
    """Yield a sentence for each column and split of what `find_rounded` found, with what to set."""
    for (column, split), found in rounded.sort("split", "series").group_by("column", "split", maintain_order=True):
        shared = scaler.own is None or column not in scaler.own.columns
        kind, _, name = column.partition(".")
        if scaler.method == "none":
            remedy = 'set encode.method to "standard"'
        elif shared and num_series > 1:
            remedy = (
                'set encode.scale to "series"'
                if kind == "value"
                else "leave it out of source.covariate_columns, or subtract the level of each series from it"
            )
        else:
            remedy = 'train on rows of one level, or set encode.method to "robust"'
        yield (
            f"The swing of {found.height} series such as {quoted(found['series'][0])} in {quoted(name)} is lost in the "
            f"rounding of 32-bit floats in the {SPLITS[split]} rows, since it is so small beside their scale or level: "
            f"{remedy}."
        )
