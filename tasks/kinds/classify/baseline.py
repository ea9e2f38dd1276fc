"""The baseline of text classification: TF-IDF over word n-grams and a logistic regression.

Where words tell nothing, as in languages without spaces, it counts characters; where even these do not, all that it
has are the shares of the classes. It reads the raw texts, so that a poor vocabulary of the recurrent models cannot
weaken what they are compared with.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from pydantic import Field, PositiveFloat

from rnnmodels.config import Settings
from tasks.contract.summaries import ModelSummary
from tasks.errors import plural
from tasks.labelled.linear import write_regression
from tasks.labelled.summaries import SPLITS, LabelledSplitSummary
from tasks.store.artefacts import Artefact
from tasks.text.ngrams import CHARACTER, WORD, count_ngrams, learn_ngrams, split_words

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NAME = "tfidf-logistic"
INPUTS = ("splits",)
# Of the validation texts must hold an n-gram that is counted, lest the baseline compare with nothing.
LEAST_SHARE = 0.5
WARNINGS = {
    "characters": "the baseline counts characters, because most validation texts contain no word of at "
    "least {texts} (baseline.min_count)",
    "nothing": "the baseline knows only the shares of the classes, because most validation texts contain no word and "
    "no character of at least {texts} (baseline.min_count)",
}


class BaselineSettings(Settings):
    """TF-IDF over word n-grams with a logistic regression."""

    ngram_max: int = Field(2, ge=1, le=5, description="Longest n-gram, in words.")
    min_count: int = Field(3, ge=1, le=1_000_000, description="Minimum training texts with an n-gram.")
    max_features: int = Field(1_000_000, ge=1, le=100_000_000, description="N-grams kept, the most frequent first.")
    sublinear_tf: bool = Field(True, description="Weight a term that occurs n times in a text by 1 + ln n.")
    c_grid: tuple[PositiveFloat, ...] = Field(
        (1, 3, 10, 30, 100),
        min_length=1,
        max_length=50,
        description="Inverse strengths of the L2 penalty to try; the lowest validation loss decides.",
    )


@dataclass(frozen=True)
class Features:
    """Weighed n-grams of each split, and what they are made of: `words`, `characters` or `nothing`."""

    counted: str
    of_split: dict[str, "csr_matrix"]


def choose_features(texts: Mapping[str, pl.Series], settings: BaselineSettings) -> Features:
    """Weigh n-grams of words, or where these are in less than half of the validation texts those of characters."""
    for counted, pattern in (("words", WORD), ("characters", CHARACTER)):
        counts = count_all(texts, settings, pattern)
        share = np.count_nonzero(counts["valid"].getnnz(axis=1)) / max(len(texts["valid"]), 1)
        if share >= LEAST_SHARE:
            return Features(counted, weigh(counts, settings))
    return Features("nothing", {split: _no_features(len(series)) for split, series in texts.items()})


def count_all(texts: Mapping[str, pl.Series], settings: BaselineSettings, pattern: str) -> dict[str, "csr_matrix"]:
    """Count the n-grams that are frequent in `train` in each split."""
    words = {split: split_words(series, pattern) for split, series in texts.items()}
    ngrams = learn_ngrams(words["train"], ngram_max=settings.ngram_max, min_count=settings.min_count)
    return {split: count_ngrams(of_split, ngrams) for split, of_split in words.items()}


def weigh(counts: Mapping[str, "csr_matrix"], settings: BaselineSettings) -> dict[str, "csr_matrix"]:
    """Weigh each split's n-grams by TF-IDF, learned from `train` alone."""
    from sklearn.feature_extraction.text import TfidfTransformer

    kept = _most_frequent(counts["train"], settings.max_features)
    weighting = TfidfTransformer(sublinear_tf=settings.sublinear_tf).fit(counts["train"][:, kept])
    return {split: weighting.transform(matrix[:, kept], copy=False) for split, matrix in counts.items()}


def write_baseline(folder: Path, *, splits: Artefact, settings: BaselineSettings) -> ModelSummary:
    """Fill the artefact's folder: predictions on validation and test, as for any model."""
    started = time.perf_counter()
    target = LabelledSplitSummary.of(splits).target
    files = {split: pl.scan_parquet(splits.file(f"{split}.parquet")) for split in SPLITS}
    rows = {split: of_split.select("row", "text", target=target).collect() for split, of_split in files.items()}
    features = choose_features({split: frame["text"] for split, frame in rows.items()}, settings)
    written = write_regression(folder, NAME, rows, features.of_split, settings.c_grid, started_s=started)
    texts = plural(settings.min_count, "training text")
    warnings = [WARNINGS[features.counted].format(texts=texts)] if features.counted in WARNINGS else []
    return ModelSummary(**written.as_json(), counted=features.counted, warnings=warnings)


def _most_frequent(counts: "csr_matrix", max_features: int) -> np.ndarray | slice:
    """Choose the columns with the largest counts; all of them if there are few enough."""
    if counts.shape[1] <= max_features:
        return slice(None)
    totals = np.asarray(counts.sum(axis=0)).ravel()
    return np.sort(np.argsort(-totals, kind="stable")[:max_features])


def _no_features(num_texts: int) -> "csr_matrix":
    """A column of zeros: a regression on it learns the shares of the classes."""
    from scipy.sparse import csr_matrix

    return csr_matrix((num_texts, 1), dtype=np.float32)


BASELINES = {NAME: write_baseline}
