"""Evaluation of text classifiers: sliced by label, length and unknown tokens; mistakes are quoted."""

from collections.abc import Iterator

import polars as pl

from tasks.labelled.evaluate import LabelledEvaluation, Slice
from tasks.statistics.quarters import cut_in_quarters
from tasks.text.vocabulary import UNKNOWN_ID

QUOTED_CHARACTERS = 300
TEXT, TOKENS = pl.col("text"), pl.col("tokens").list
LENGTH = TOKENS.len()


def slice_by_unknown_tokens(test: pl.DataFrame) -> Iterator[Slice]:
    """Slice rows in quarters by their share of unknown tokens."""
    for low, high, inside in cut_in_quarters(test["oov_share"].to_numpy()):
        yield "unknown tokens", f"{low:.1%} to {high:.1%}", inside


# A long text is quoted to its beginning.
EVALUATION = LabelledEvaluation(
    unit="tokens",
    encoder="encode.tokenizer",
    features={"length": LENGTH, "oov_share": TOKENS.count_matches(UNKNOWN_ID) / LENGTH.clip(1)},
    quote=pl.when(TEXT.str.len_chars() > QUOTED_CHARACTERS)
    .then(TEXT.str.head(QUOTED_CHARACTERS) + "…")
    .otherwise(TEXT),
    slice_further=slice_by_unknown_tokens,
)
