"""Which steps of a long row a model reads; this module travels with every registered classifier."""

import polars as pl


def truncated(steps: pl.Expr, *, max_length: int, keep: str, size: int = 1) -> pl.Expr:
    """At most `max_length` steps of `size` numbers each: the `head`, the `tail`, or half from `both` ends."""
    if keep == "head":
        return steps.list.head(max_length * size)
    if keep == "tail":
        return steps.list.tail(max_length * size)
    num_head = max_length // 2
    ends = pl.concat_list(steps.list.head(num_head * size), steps.list.tail((max_length - num_head) * size))
    return pl.when(steps.list.len() > max_length * size).then(ends).otherwise(steps)
