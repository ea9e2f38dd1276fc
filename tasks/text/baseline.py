"""The baseline of text classification: TF-IDF over word n-grams and a logistic regression.

It reads the raw texts, so that a poor vocabulary of the recurrent models cannot weaken what they are compared with.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from pydantic import Field, PositiveFloat

from tasks.classification.linear import write_regression
from tasks.errors import InputError
from tasks.part import Part
from tasks.store import Artefact
from tasks.text.ngrams import count_ngrams, learn_ngrams, split_words

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NAME = "tfidf-logistic"
SPLITS = ("train", "valid", "test")
INPUTS = ("splits",)


class BaselineSettings(Part):
    """TF-IDF over word n-grams with a logistic regression."""

    ngram_max: int = Field(2, ge=1, le=5, description="Longest n-gram, in words.")
    min_count: int = Field(3, ge=1, le=1_000_000, description="Training texts an n-gram must occur in.")
    max_features: int = Field(1_000_000, ge=1, le=100_000_000, description="N-grams kept, the most frequent first.")
    sublinear_tf: bool = Field(True, description="Weigh a term that occurs n times in a text as 1 + ln n.")
    c_grid: tuple[PositiveFloat, ...] = Field(
        (1, 3, 10, 30, 100),
        min_length=1,
        max_length=50,
        description="Inverse strengths of the L2 penalty to try; the lowest validation loss decides.",
    )


def build_features(texts: Mapping[str, pl.Series], settings: BaselineSettings) -> dict[str, "csr_matrix"]:
    """Weigh each split's n-grams by TF-IDF; both n-grams and weights are learned from `train` alone."""
    from sklearn.feature_extraction.text import TfidfTransformer

    words = {split: split_words(series) for split, series in texts.items()}
    ngrams = learn_ngrams(words["train"], ngram_max=settings.ngram_max, min_count=settings.min_count)
    counts = {split: count_ngrams(of_split, ngrams) for split, of_split in words.items()}
    kept = _most_frequent(counts["train"], settings)
    weighting = TfidfTransformer(sublinear_tf=settings.sublinear_tf).fit(counts["train"][:, kept])
    return {split: weighting.transform(matrix[:, kept], copy=False) for split, matrix in counts.items()}


def write_baseline(folder: Path, *, splits: Artefact, settings: BaselineSettings) -> dict:
    """Fill the artefact's folder: predictions on validation and test, as of any model."""
    started = time.perf_counter()
    rows = {split: read_rows(splits, split) for split in SPLITS}
    features = build_features({split: frame["text"] for split, frame in rows.items()}, settings)
    written = write_regression(folder, NAME, rows, features, settings.c_grid)
    return {**written, "train_s": round(time.perf_counter() - started, 3)}


def read_rows(splits: Artefact, split: str) -> pl.DataFrame:
    """Read one split's rows with `target`, the index of their label among the sorted labels."""
    target = pl.col("label").cast(pl.Enum(splits.summary["labels"])).to_physical().cast(pl.UInt16)
    rows = pl.scan_parquet(splits.file(f"{split}.parquet"))
    return rows.select("row", "text", target=target).collect()


def _most_frequent(counts: "csr_matrix", settings: BaselineSettings) -> np.ndarray | slice:
    """Choose the columns with the largest counts; all of them if there are few enough."""
    if counts.nnz == 0:
        raise InputError(
            "E-DATA-011",
            f"no n-gram occurs in {settings.min_count} training texts or more, so the baseline has nothing to count.",
            fix="lower `baseline.min_count` in the recipe, or add training rows.",
        )
    if counts.shape[1] <= settings.max_features:
        return slice(None)
    totals = np.asarray(counts.sum(axis=0)).ravel()
    return np.sort(np.argsort(-totals, kind="stable")[: settings.max_features])


BASELINES = {NAME: write_baseline}
