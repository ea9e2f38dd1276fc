"""N-grams of training texts and where they stand in each split, as linear models read them.

Shapes: N texts, G n-grams.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tasks.text.ngram_model import Weighing, weigh_ngrams
from tasks.text.ngrams import CHARACTER, WORD, Ngrams, Occurrences, learn_ngrams, list_ngrams, split_words

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WORDS, CHARACTERS, NOTHING = "words", "characters", "nothing"
# Of the validation texts must hold an n-gram that is counted, lest a baseline compare with nothing.
LEAST_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Counted:
    """N-grams that are frequent in the training texts, as a pattern finds their words, and where they stand."""

    pattern: str
    ngrams: Ngrams
    found: Mapping[str, Occurrences]
    num_texts: Mapping[str, int]

    def weigh(self, weighing: Weighing, idf: np.ndarray) -> "dict[str, csr_matrix]":
        """The weights of the n-grams of each split: sparse float32 [N, G]; without any n-gram a column of zeros."""
        from scipy.sparse import csr_matrix

        rows = {}
        for split, found in self.found.items():
            values = weigh_ngrams(found, self.num_texts[split], weighing, idf).astype(np.float32)
            shape = (self.num_texts[split], max(len(self.ngrams), 1))
            rows[split] = csr_matrix((values, (found.text_index, found.ngram)), shape)
        return rows

    def inverse_document_frequency(self) -> np.ndarray:
        """1 + ln((1 + N) / (1 + n)) of an n-gram that n of N training texts hold: float32 [G]."""
        holding = np.bincount(self.found["train"].ngram, minlength=len(self.ngrams))
        return (1 + np.log((1 + self.num_texts["train"]) / (1 + holding))).astype(np.float32)


def find_countable(texts: Mapping[str, pl.Series], min_count: int) -> str:
    """What can be counted: words, or where less than half of the validation texts hold a frequent one, characters.

    Nothing, where these are no better.
    """
    for what, pattern in ((WORDS, WORD), (CHARACTERS, CHARACTER)):
        counted = count_texts(texts, pattern, ngram_max=1, min_count=min_count)
        share = len(np.unique(counted.found["valid"].text_index)) / max(len(texts["valid"]), 1)
        if share >= LEAST_SHARE:
            return what
    return NOTHING


def count_texts(
    texts: Mapping[str, pl.Series], pattern: str, *, ngram_max: int, min_count: int, max_features: int | None = None
) -> Counted:
    """Find the n-grams that are frequent in `train`, of them the most frequent ones, in each split."""
    words = {split: split_words(series, pattern) for split, series in texts.items()}
    ngrams = learn_ngrams(words["train"], ngram_max=ngram_max, min_count=min_count)
    if max_features is not None and len(ngrams) > max_features:
        ngrams = ngrams.keep(most_frequent(list_ngrams(words["train"], ngrams), len(ngrams), max_features))
    found = {split: list_ngrams(of_split, ngrams) for split, of_split in words.items()}
    num_texts = {split: len(series) for split, series in texts.items()}
    return Counted(pattern=pattern, ngrams=ngrams, found=found, num_texts=num_texts)


def count_nothing(texts: Mapping[str, pl.Series]) -> Counted:
    """Count no n-gram of the texts."""
    return count_texts(texts, WORD, ngram_max=1, min_count=len(texts["train"]) + 1)


def most_frequent(found: Occurrences, num_ngrams: int, max_features: int) -> np.ndarray:
    """Mask those that occur most often; of equals the shorter ones, so that no n-gram is kept without its parts."""
    totals = np.bincount(found.ngram, found.count, num_ngrams)
    mask = np.zeros(num_ngrams, dtype=bool)
    mask[np.argsort(-totals, kind="stable")[:max_features]] = True
    return mask
