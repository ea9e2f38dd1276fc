"""Test text on which language models are compared: its documents, or passages where there are few of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tasks.contract.lineage import Lineage
from tasks.kinds.language.metrics import LEAST_DOCUMENTS
from tasks.promotion.scoring import Holdout
from tasks.store.fingerprint import digest_of
from tasks.text.pieces import cut_at_white_space

# Long enough for a model to find its feet, and short enough that a chapter has some to resample.
PASSAGE_CHARS, LEAST_PASSAGE_CHARS = 2_000, 256


@dataclass(frozen=True, kw_only=True)
class LanguageHoldout(Holdout):
    """Documents by content, or passages in the order of the text; `unit` says which. The digest is that of the text."""

    texts: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Number of texts."""
        return len(self.texts)

    @property
    def are_passages(self) -> bool:
        """Whether documents were cut."""
        return self.unit == "passages"


def read_holdout(lineage: Lineage) -> LanguageHoldout:
    """Read the test text that a challenger was evaluated on."""
    documents = pl.read_parquet(lineage.splits.file("test.parquet"), columns=["text"])["text"].to_list()
    unit, texts = cut_for_resampling(documents)
    return LanguageHoldout(unit=unit, digest=digest_of(sorted(documents)), texts=tuple(texts))


def cut_for_resampling(documents: Sequence[str]) -> tuple[str, list[str]]:
    """Documents, sorted, or passages of at most 2,000 characters where there are too few documents; and their name."""
    if len(documents) >= LEAST_DOCUMENTS:
        return "documents", sorted(documents)
    size = min(max(sum(map(len, documents)) // LEAST_DOCUMENTS, LEAST_PASSAGE_CHARS), PASSAGE_CHARS)
    return "passages", [passage for text in documents for passage in cut_at_white_space(text, size)]
