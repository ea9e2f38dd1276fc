"""How the texts that a language model read are counted as a profile.

This module travels with the registered model, so it knows little but numpy.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from tasks.contract.profile import Feature, Profile, Watch
from tasks.text.vocabulary import UNKNOWN_ID

# Four bins per doubling; halves lie between whole numbers, so the middle of a narrow bin is the length it holds.
LENGTHS = np.unique(np.round(2 ** (np.arange(-4, 109) / 4))) + 0.5
# Even a model that knows nothing of a text needs no more than some nats for a character of it.
NATS = np.concatenate([np.arange(160) / 40, np.arange(4, 25)]).astype(np.float64)
SHARES = np.concatenate([[0.0], np.arange(201) / 200])
LENGTH = "length"
WATCH = Watch(
    unit="texts",
    min_rows=200,
    features={
        LENGTH: Feature(title="mean length in characters", form="{:.0f}", bounds=LENGTHS),
        "nats_per_char": Feature(title="mean nats per character", form="{:.2f}", bounds=NATS, rises=True),
        "oov_share": Feature(title="share of unknown tokens", form="{:.1%}", bounds=SHARES),
    },
)


def profile_texts(ids: Sequence[np.ndarray], scored: pl.DataFrame) -> Profile:
    """Count texts, given their token ids and what they cost: columns num_chars and nats. Empty ones do not count."""
    cost = scored.with_columns(
        num_ids=pl.Series([len(one) for one in ids], dtype=pl.UInt32),
        unknown=pl.Series([np.count_nonzero(one == UNKNOWN_ID) for one in ids], dtype=pl.UInt32),
    ).filter(pl.col("num_ids") > 0)
    values = {
        LENGTH: pl.col("num_chars"),
        "nats_per_char": pl.col("nats") / pl.col("num_chars"),
        "oov_share": pl.col("unknown") / pl.col("num_ids"),
    }
    counted = cost.select(one.cast(pl.Float64).alias(name) for name, one in values.items())
    if counted.is_empty():
        return Profile.empty()
    histograms = {name: WATCH.feature(name)[0].count(counted[name].to_numpy()) for name in values}
    return Profile(rows=counted.height, histograms=histograms)
