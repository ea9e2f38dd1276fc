"""A fitted classifier as it is served: raw texts in, a probability per class out.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tasks.kinds.classify.source import SourceSettings
from tasks.labelled.labeller import Labeller, LabellerServing, ReadRows
from tasks.labelled.summaries import LABELS_FILE
from tasks.text.ngram_model import NGRAM_FILES, NgramModel
from tasks.text.readable import check_texts
from tasks.text.vocabulary import UNKNOWN_ID, Vocabulary

VOCABULARY_FILE = "vocabulary.json"


@dataclass(frozen=True, kw_only=True)
class Serving(LabellerServing[SourceSettings]):
    """How a fitted model reads texts.

    Models registered before the source was recorded have none, and read tables as sources do by default.
    """

    source: dict[str, Any] | None = None

    @classmethod
    def trained_as(cls) -> type[SourceSettings]:
        """Labelled texts."""
        return SourceSettings

    @property
    def settings(self) -> SourceSettings:
        """The settings of the training rows' source, the layout of a built-in data set filled in."""
        return SourceSettings(path="texts") if self.source is None else super().settings


@dataclass(frozen=True, kw_only=True)
class TextClassifier(Labeller[Sequence[str]]):
    """A model in evaluation mode with the vocabulary and the labels it was fitted with."""

    kind = "classify"
    serving_type = Serving
    encoder_files = (VOCABULARY_FILE, LABELS_FILE)
    linear_files = NGRAM_FILES

    vocabulary: Vocabulary
    serving: Serving

    @classmethod
    def load_encoder(cls, folder: Path) -> dict[str, Any]:
        """Read the vocabulary."""
        return {"vocabulary": Vocabulary.load(folder / VOCABULARY_FILE)}

    @classmethod
    def load_linear(cls, folder: Path) -> NgramModel:
        """Read the linear model of n-grams."""
        return NgramModel.load(folder)

    @classmethod
    def take(cls, rows: pl.DataFrame) -> list[str]:
        """The texts of rows."""
        return rows["text"].to_list()

    def read(self, rows: Sequence[str]) -> ReadRows:
        """Cut texts into ids; an empty text counts as one unknown token.

        What is watched: `length` in tokens before truncation, `oov_share`, the share of them outside the vocabulary.
        Raises InputError (E-TEXT-001) naming the first text that cannot be read.
        """
        check_texts(rows)
        texts = pl.DataFrame({"text": pl.Series(rows, dtype=pl.String)})
        whole = texts.select(ids=self.vocabulary.ids_of_text(pl.col("text")))
        ids, length = pl.col("ids"), pl.col("ids").list.len()
        oov_share = ids.list.count_matches(UNKNOWN_ID) / length
        read = whole.select(sequence=self.cut(ids), length=length.cast(pl.Int64), oov_share=oov_share)
        return ReadRows(
            sequences=[sequence.to_numpy() for sequence in read["sequence"]],
            values={name: read[name].to_numpy() for name in ("length", "oov_share")},
            linear=None if self.linear is None else self.linear.logits(rows),
        )
