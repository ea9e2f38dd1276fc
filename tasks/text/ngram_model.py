"""A linear model of the n-grams of texts, stored without pickle: raw texts in, logits out.

This module travels with registered models, so it knows neither Prefect nor MLflow, nor the library that fits models.
Shapes: N texts, G n-grams, K classes; a model of two classes has one column, the log odds of the second.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import safetensors.numpy

from tasks.text.ngrams import Ngrams, Occurrences, list_ngrams, split_words

NUMBERS, WORDS = NGRAM_FILES = ("ngrams.safetensors", "ngrams.json")
FORMAT = 1
CHUNK_TEXTS = 5000

Weighing = Literal["tf-idf", "sublinear-tf-idf", "presence"]
Link = Literal["softmax", "one-against-rest"]


@dataclass(frozen=True, kw_only=True)
class NgramModel:
    """What is counted, how it is weighed, and what each n-gram says of each class.

    pattern: what counts as a word. idf: float32 [G], the inverse document frequency; empty for `presence`, which weighs
    an n-gram by 1. weights: float32 [G, K]; intercept: float64 [K]. link: what the K sums are, if there are several.
    """

    pattern: str
    ngrams: Ngrams
    weighing: Weighing
    idf: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray
    link: Link

    def save(self, folder: Path) -> None:
        """Write `NGRAM_FILES`: numbers as safetensors, words as JSON."""
        numbers = {"idf": self.idf, "weights": self.weights, "intercept": self.intercept}
        numbers |= {f"order_{order}": known for order, known in enumerate(self.ngrams.orders, start=1)}
        content = {name: np.ascontiguousarray(values) for name, values in numbers.items()}
        (folder / NUMBERS).write_bytes(safetensors.numpy.save(content))
        words = self.ngrams.dictionary.to_list()
        told = {"format": FORMAT, "pattern": self.pattern, "weighing": self.weighing, "link": self.link, "words": words}
        (folder / WORDS).write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "NgramModel":
        """Read what `save` wrote; whoever calls has checked the SHA-256 of the files."""
        numbers = safetensors.numpy.load((folder / NUMBERS).read_bytes())
        told = json.loads((folder / WORDS).read_bytes())
        orders = tuple(numbers[f"order_{order}"] for order in range(1, len(numbers) - 2))
        return cls(
            ngrams=Ngrams(pl.Series(told["words"], dtype=pl.String), orders),
            idf=numbers["idf"],
            weights=numbers["weights"],
            intercept=numbers["intercept"],
            pattern=told["pattern"],
            weighing=told["weighing"],
            link=told["link"],
        )

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Logits float32 [N, classes]: 0 and the log odds for two classes, else log-probabilities.

        Each text is summed up alone, in the order of its n-grams, so no other one changes its logits.
        """
        chunks = [self._sum_up(texts[start : start + CHUNK_TEXTS]) for start in range(0, len(texts), CHUNK_TEXTS)]
        return logits_of(np.concatenate([np.empty((0, len(self.intercept))), *chunks]), self.link)

    def _sum_up(self, texts: Sequence[str]) -> np.ndarray:
        """Intercept and weighted sum of the n-grams of each text: float64 [N, K]."""
        found = list_ngrams(split_words(pl.Series(texts, dtype=pl.String), self.pattern), self.ngrams)
        values = weigh_ngrams(found, len(texts), self.weighing, self.idf)
        columns = [np.bincount(found.text_index, values * column, len(texts)) for column in self.weights[found.ngram].T]
        return np.stack(columns, axis=1) + self.intercept


def weigh_ngrams(found: Occurrences, num_texts: int, weighing: Weighing, idf: np.ndarray) -> np.ndarray:
    """Weigh each n-gram in its text: by 1, or by TF-IDF, of which the squares in a text add up to 1.

    Sublinear, an n-gram that occurs n times counts 1 + ln n times.
    """
    if weighing == "presence":
        return np.ones(len(found.count))
    counts = found.count.astype(np.float64)
    values = (1 + np.log(counts) if weighing == "sublinear-tf-idf" else counts) * idf[found.ngram]
    norms = np.sqrt(np.bincount(found.text_index, values**2, num_texts))
    return values / norms[found.text_index]


def logits_of(sums: np.ndarray, link: Link) -> np.ndarray:
    """Logits float32 [N, classes] of sums [N, K]; of regressions one against the rest, their probabilities are scaled.

    These may be of any size, so all is done in logarithms.
    """
    if sums.shape[1] == 1:
        return np.column_stack([np.zeros_like(sums), sums]).astype(np.float32)
    logits = sums if link == "softmax" else -np.logaddexp(0, -sums)
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
