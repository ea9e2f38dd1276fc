"""Tokens that give the label away: a sign that the answer is written into the text."""

import polars as pl

from tasks.errors import quoted
from tasks.text.tokenizers import words

SAMPLED_ROWS = 5_000
# A token is suspicious if it marks at least this share of a label's rows and hardly any other row.
MIN_COVERAGE, MIN_PRECISION = 0.5, 0.99


def find_telltale_tokens(train: pl.LazyFrame) -> list[str]:
    """Warn of tokens that stand in most rows of one label and in (almost) no row of another.

    `train` has columns `text` and `label`; its first rows are looked at, in a fixed random order.
    """
    sample = train.select("text", "label").collect(engine="streaming")
    sample = sample.sample(min(SAMPLED_ROWS, sample.height), seed=0, shuffle=True)
    tokens = sample.select("label", token=words(pl.col("text").str.to_lowercase()).list.unique())
    seen = tokens.explode("token").group_by("token", "label").agg(rows=pl.len())
    rows_of_label = sample.group_by("label").agg(label_rows=pl.len())
    scored = seen.join(rows_of_label, on="label").with_columns(
        coverage=pl.col("rows") / pl.col("label_rows"), precision=pl.col("rows") / pl.col("rows").sum().over("token")
    )
    suspicious = scored.filter((pl.col("coverage") >= MIN_COVERAGE) & (pl.col("precision") >= MIN_PRECISION))
    return [
        f"the token {quoted(token)} occurs in {coverage:.0%} of the rows labelled {quoted(label)} and in almost no "
        "others: is the label part of the text?"
        for token, label, coverage in suspicious.sort("coverage", "token", descending=[True, False])
        .select("token", "label", "coverage")
        .head(5)
        .rows()
    ]
