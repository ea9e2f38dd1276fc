"""The baselines of text classification: logistic regressions on word n-grams.

One weighs them by TF-IDF, one by naive Bayes' log-count ratios; a third one, if the recipe asks for it, also reads the
latent dimensions of all texts, those without a label too. Where words tell nothing, as in languages without
spaces, they count characters; where even these do not, all that is left are the shares of the classes. They read the
raw texts, so that a poor vocabulary of the recurrent models cannot weaken what they are compared with. What is fitted
is stored with its predictions, so that a network can be served together with it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field, PositiveFloat

from rnnmodels.config import Settings
from tasks.contract.summaries import ModelSummary
from tasks.errors import plural
from tasks.labelled.linear import SCORED, LogisticModel, choose_regression, store_scores
from tasks.labelled.summaries import SPLITS, UNLABELLED, LabelledSplitSummary
from tasks.store.artefacts import Artefact
from tasks.text.class_ratios import LINK, RatioRegression
from tasks.text.counted import CHARACTERS, NOTHING, Counted, count_nothing, count_texts, find_countable
from tasks.text.latent import append_latent, find_latent_directions, fold_latent
from tasks.text.ngram_model import NgramModel, Weighing
from tasks.text.ngrams import CHARACTER, WORD, WORD_OR_MARK

TFIDF, NAIVE_BAYES, LATENT = "tfidf-logistic", "naive-bayes-logistic", "latent-logistic"
# With 300 dimensions, the decomposition holds about a gigabyte for these.
MOST_LATENT_FEATURES = 250_000
INPUTS = ("splits",)
FITTED_ON = ("train", "valid")
WARNINGS = {
    CHARACTERS: "the baseline counts characters, because most validation texts contain no word of at "
    "least {texts} (baseline.min_count)",
    NOTHING: "the baseline knows only the shares of the classes, because most validation texts contain no word and "
    "no character of at least {texts} (baseline.min_count)",
}


class BaselineSettings(Settings):
    """Word n-grams with logistic regressions."""

    ngram_max: int = Field(2, ge=1, le=5, description="Longest n-gram that TF-IDF weighs, in words.")
    min_count: int = Field(3, ge=1, le=1_000_000, description="Minimum training texts with an n-gram.")
    max_features: int = Field(
        1_000_000, ge=1, le=100_000_000, description="N-grams kept for each baseline, the most frequent first."
    )
    sublinear_tf: bool = Field(True, description="Weight a term that occurs n times in a text by 1 + ln n.")
    c_grid: tuple[PositiveFloat, ...] = Field(
        (1, 3, 10, 30, 100),
        min_length=1,
        max_length=50,
        description="Inverse strengths of the L2 penalty to try; the lowest validation loss decides.",
    )
    naive_bayes: bool = Field(
        True, description="Also fit regressions on n-grams weighed by naive Bayes' log-count ratios (NB-LR)."
    )
    naive_bayes_ngram_max: int = Field(
        3, ge=1, le=5, description="Longest n-gram of NB-LR, in words and punctuation marks."
    )
    naive_bayes_c_grid: tuple[PositiveFloat, ...] = Field(
        (0.03, 0.1, 0.3, 1), min_length=1, max_length=50, description="Inverse strengths of NB-LR's L2 penalty to try."
    )
    latent_dimensions: int = Field(
        0,
        ge=0,
        le=1_000,
        description="Also fit a regression on TF-IDF and on this many dimensions of a latent semantic analysis of all "
        "training texts, with or without a label (300 are usual), which counts at most 250,000 n-grams; 0 for none.",
    )

    @property
    def weighing(self) -> Weighing:
        """How TF-IDF counts a term that occurs several times in a text."""
        return "sublinear-tf-idf" if self.sublinear_tf else "tf-idf"


@dataclass(frozen=True, kw_only=True)
class LabelledTexts:
    """Rows (row, text, target) by split, and how many classes there are."""

    rows: Mapping[str, pl.DataFrame]
    num_classes: int

    @classmethod
    def read(cls, splits: Artefact) -> "LabelledTexts":
        """Read all splits."""
        summary = LabelledSplitSummary.of(splits)
        files = {split: pl.scan_parquet(splits.file(f"{split}.parquet")) for split in SPLITS}
        rows = {split: file.select("row", "text", target=summary.target).collect() for split, file in files.items()}
        return cls(rows=rows, num_classes=len(summary.labels))

    @property
    def texts(self) -> dict[str, pl.Series]:
        """What a regression is fitted to and chosen by."""
        return {split: self.rows[split]["text"] for split in FITTED_ON}

    @property
    def targets(self) -> dict[str, np.ndarray]:
        """The classes of these texts."""
        return {split: self.rows[split]["target"].to_numpy() for split in FITTED_ON}


def read_unlabelled(splits: Artefact) -> pl.Series:
    """The texts without a label, if there are any."""
    if not LabelledSplitSummary.of(splits).splits.get(UNLABELLED):
        return pl.Series(dtype=pl.String)
    return pl.read_parquet(splits.file(f"{UNLABELLED}.parquet"), columns=["text"])["text"]


def write_tfidf(folder: Path, *, splits: Artefact, settings: BaselineSettings) -> ModelSummary:
    """Fill the artefact's folder: a regression on TF-IDF, and its predictions on validation and test."""
    started_s, labelled = time.perf_counter(), LabelledTexts.read(splits)
    what, counted = count_for_tfidf(labelled.texts, settings)
    idf = counted.inverse_document_frequency()
    features = counted.weigh(settings.weighing, idf)
    fit = choose_regression(TFIDF, LogisticModel(), features, labelled.targets, settings.c_grid)
    regression = fit.regression.regression
    weights = regression.coef_.T[: len(idf)].astype(np.float32)
    model = make_tfidf_model(counted, settings.weighing, idf, weights, regression.intercept_)
    texts = plural(settings.min_count, "training text")
    warnings = [WARNINGS[what].format(texts=texts)] if what in WARNINGS else []
    told = {"C": fit.C, "counted": what, "warnings": warnings}
    return store_model(folder, TFIDF, model, labelled.rows, started_s=started_s, **told)


def make_tfidf_model(
    counted: Counted, weighing: Weighing, idf: np.ndarray, weights: np.ndarray, intercept: np.ndarray
) -> NgramModel:
    """The model of a regression on TF-IDF."""
    return NgramModel(
        pattern=counted.pattern,
        ngrams=counted.ngrams,
        weighing=weighing,
        idf=idf,
        weights=weights,
        intercept=intercept.astype(np.float64),
        link="softmax",
    )


def count_for_tfidf(texts: Mapping[str, pl.Series], settings: BaselineSettings) -> tuple[str, Counted]:
    """What TF-IDF weighs, and what that is: words, characters or nothing."""
    what = find_countable(texts, settings.min_count)
    if what == NOTHING:
        return what, count_nothing(texts)
    return what, count_texts(
        texts,
        CHARACTER if what == CHARACTERS else WORD,
        ngram_max=settings.ngram_max,
        min_count=settings.min_count,
        max_features=settings.max_features,
    )


def write_latent(folder: Path, *, splits: Artefact, settings: BaselineSettings) -> ModelSummary:
    """Fill the artefact's folder: a regression on TF-IDF and latent dimensions, and its predictions on held texts.

    It is left out where the recipe asks for no dimension, and where nothing can be counted.
    """
    if not settings.latent_dimensions:
        return ModelSummary(rows=0, name=LATENT, train_s=0, left_out=True)
    started_s, labelled = time.perf_counter(), LabelledTexts.read(splits)
    texts, unlabelled = labelled.texts, read_unlabelled(splits)
    limit = min(settings.max_features, MOST_LATENT_FEATURES)
    what, counted = count_for_tfidf(
        {**texts, "train": pl.concat([texts["train"], unlabelled])},
        settings.model_copy(update={"max_features": limit}),
    )
    if what == NOTHING:
        return ModelSummary(rows=0, name=LATENT, train_s=0, left_out=True)
    idf = counted.inverse_document_frequency()
    features = counted.weigh(settings.weighing, idf)
    directions = find_latent_directions(features["train"], settings.latent_dimensions)
    features["train"] = features["train"][: len(texts["train"])]
    extended = {split: append_latent(of_split, directions) for split, of_split in features.items()}
    fit = choose_regression(LATENT, LogisticModel(), extended, labelled.targets, settings.c_grid)
    regression = fit.regression.regression
    weights = fold_latent(regression.coef_, directions)
    model = make_tfidf_model(counted, settings.weighing, idf, weights, regression.intercept_)
    told = {"C": fit.C, "counted": what, "num_unlabelled": len(unlabelled), "latent_dimensions": len(directions)}
    return store_model(folder, LATENT, model, labelled.rows, started_s=started_s, **told)


def write_naive_bayes(folder: Path, *, splits: Artefact, settings: BaselineSettings) -> ModelSummary:
    """Fill the artefact's folder: regressions on weighed presence, and their predictions on validation and test.

    It is left out where the recipe says so, and where nothing can be counted, which the other baseline tells.
    """
    started_s, labelled = time.perf_counter(), LabelledTexts.read(splits)
    what = find_countable(labelled.texts, settings.min_count) if settings.naive_bayes else NOTHING
    if what == NOTHING:
        return ModelSummary(rows=0, name=NAIVE_BAYES, train_s=0, left_out=True)
    counted = count_texts(
        labelled.texts,
        CHARACTER if what == CHARACTERS else WORD_OR_MARK,
        ngram_max=settings.naive_bayes_ngram_max,
        min_count=settings.min_count,
        # What is stored and fitted grows with the classes, so these share what is kept.
        max_features=max(1, settings.max_features // max(1, labelled.num_classes - 1)),
    )
    no_idf = np.empty(0, dtype=np.float32)
    features, targets = counted.weigh("presence", no_idf), labelled.targets
    regression = RatioRegression(features["train"], targets["train"], labelled.num_classes)
    fit = choose_regression(NAIVE_BAYES, regression, features, targets, settings.naive_bayes_c_grid)
    model = NgramModel(
        pattern=counted.pattern,
        ngrams=counted.ngrams,
        weighing="presence",
        idf=no_idf,
        weights=fit.regression.weights,
        intercept=fit.regression.intercept,
        link=LINK,
    )
    told = {"C": fit.C, "counted": what}
    return store_model(folder, NAIVE_BAYES, model, labelled.rows, started_s=started_s, **told)


def store_model(
    folder: Path,
    name: str,
    model: NgramModel,
    rows: Mapping[str, pl.DataFrame],
    *,
    started_s: float,
    **facts: Any,  # noqa: ANN401 (JSON values)
) -> ModelSummary:
    """Store a model, and what it answers on the texts of validation and test."""
    model.save(folder)
    logits = {split: model.logits(rows[split]["text"].to_list()) for split in SCORED}
    return store_scores(folder, name, rows, logits, started_s=started_s, num_features=len(model.ngrams), **facts)


BASELINES = {TFIDF: write_tfidf, NAIVE_BAYES: write_naive_bayes, LATENT: write_latent}
