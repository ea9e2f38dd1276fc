"""What is monitored of a language model: how long texts are, what a character costs, and how much is unknown."""

from dataclasses import replace

import polars as pl

from tasks.contract.lineage import Lineage
from tasks.contract.profile import Profile
from tasks.kinds.language.holdout import cut_for_resampling
from tasks.kinds.language.profile import LENGTH, WATCH, profile_texts
from tasks.kinds.language.served_language_model import ServedLanguageModel

__all__ = ["WATCH", "reference_profile"]

MOST_REFERENCE_TEXTS = 1_024


def reference_profile(served: ServedLanguageModel, lineage: Lineage) -> Profile:
    """Count validation documents as the served model reads them, evenly chosen where there are very many.

    Few long ones are counted in passages, whose lengths say nothing of what is to come.
    """
    documents = pl.read_parquet(lineage.splits.file("valid.parquet"), columns=["text"])["text"].to_list()
    unit, texts = cut_for_resampling(documents)
    read = served.reader.read(texts[:: -(-len(texts) // MOST_REFERENCE_TEXTS)])
    profile = profile_texts(read.ids, served.score(read))
    if unit == "documents":
        return profile
    return replace(profile, histograms={name: one for name, one in profile.histograms.items() if name != LENGTH})
