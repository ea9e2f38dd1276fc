"""Test text on which language models are compared: its documents, or passages where there are few of them."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from tasks.contract.lineage import Lineage
from tasks.kinds.language.metrics import LEAST_DOCUMENTS
from tasks.kinds.language.summaries import DividedSummary
from tasks.promotion.scoring import Holdout
from tasks.store.artefacts import Artefact
from tasks.store.fingerprint import digest_of
from tasks.text.pieces import cut_at_white_space
from tasks.text.vocabulary import Vocabulary

# A passage is long enough for a model to find its feet, and there are enough of them in a chapter to resample.
PASSAGE_CHARS = 2_000


@dataclass(frozen=True, kw_only=True)
class LanguageHoldout(Holdout):
    """Documents or passages (`unit` says which) in the order of the text, and how the challenger reads them."""

    texts: tuple[str, ...]
    lengths: np.ndarray
    reading: str

    @property
    def rows(self) -> int:
        """Number of texts."""
        return len(self.texts)


def read_holdout(lineage: Lineage) -> LanguageHoldout:
    """Read the test text that a challenger was evaluated on."""
    texts = read_texts(lineage.splits)
    vocabulary = Vocabulary.load(lineage.encoded.file("vocabulary.json"))
    return LanguageHoldout(
        unit=name_unit(texts),
        digest=digest_of(sorted(texts)),
        texts=tuple(cut_in_passages(texts)),
        lengths=np.array([len(text) for text in cut_in_passages(texts)]),
        reading=describe_reading(vocabulary),
    )


def read_texts(splits: Artefact) -> list[str]:
    """The test documents; where the validation text stands for them, it does here too."""
    return pl.read_parquet(splits.file("test.parquet"), columns=["text"])["text"].to_list()
