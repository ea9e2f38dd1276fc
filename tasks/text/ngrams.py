"""Counting n-grams of words in texts: what scikit-learn's CountVectorizer counts, in half the time.

Polars splits the texts into words once; an n-gram is then a number made of two others, its first n-1 words and its
last, so that counting is sorting. One that is rare cannot be part of a frequent longer one, which keeps them few.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

WORD = r"\w\w+"
WORD_OR_MARK = r"\w+|[^\w\s]"
CHARACTER = r"\S"
ABSENT = -1


@dataclass(frozen=True)
class Words:
    """The words of some texts in reading order; `text_index` tells in which text each stands."""

    num_texts: int
    text_index: np.ndarray
    word: pl.Series


@dataclass(frozen=True)
class Ngrams:
    """The n-grams worth counting: for each order the sorted numbers of the frequent ones.

    The number of a word is its place in the dictionary; that of a longer one is the place of all its words but the last
    among the n-grams of their order, times how many words there are, plus the place of the last among these.
    """

    dictionary: pl.Series
    orders: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        """How many n-grams there are, of all orders."""
        return sum(map(len, self.orders))

    def keep(self, wanted: np.ndarray) -> "Ngrams":
        """Only the n-grams of a mask over the orders side by side, in which each is as wanted as the parts of it."""
        masks = np.split(wanted, np.cumsum([len(known) for known in self.orders])[:-1])
        places = [np.cumsum(mask) - 1 for mask in masks]
        words = self.dictionary.gather(self.orders[0][masks[0]])
        orders = [np.arange(len(words))]
        for shorter, known, mask in zip(places, self.orders[1:], masks[1:], strict=False):
            first, last = np.divmod(known[mask], len(self.orders[0]))
            orders.append(shorter[first] * len(words) + places[0][last])
        return Ngrams(words, tuple(orders))

    def number(self, words: pl.Series) -> np.ndarray:
        """The place of each word in the dictionary; a word is looked up once, however often it occurs."""
        if words.is_empty():
            return np.empty(0, dtype=np.int64)
        distinct = words.unique()
        places = pl.Series([self._places.get(word, ABSENT) for word in distinct], dtype=pl.Int64)
        return words.replace_strict(distinct, places, return_dtype=pl.Int64).to_numpy()

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.dictionary)}


@dataclass(frozen=True)
class Occurrences:
    """How often each text holds an n-gram: three arrays of one length, in the order of texts, then of n-grams."""

    text_index: np.ndarray
    ngram: np.ndarray
    count: np.ndarray


def split_words(texts: pl.Series, pattern: str = WORD) -> Words:
    """Split texts into lower-case words of at least two characters, or whatever a pattern takes for a word."""
    words = texts.str.to_lowercase().str.extract_all(pattern).alias("word").to_frame().with_row_index("text")
    flat = words.explode("word").drop_nulls("word")
    return Words(len(texts), flat["text"].to_numpy(), flat["word"])


def learn_ngrams(words: Words, *, ngram_max: int, min_count: int) -> Ngrams:
    """Find the n-grams of one to `ngram_max` words that occur in at least `min_count` texts."""
    dictionary = words.word.unique().sort()
    # Of most words at once this is faster than looking each of them up.
    keys = words.word.cast(pl.Enum(dictionary)).to_physical().cast(pl.Int64).to_numpy()

    def find_frequent(_order: int, keys: np.ndarray) -> np.ndarray:
        return _frequent_keys(keys, words.text_index, min_count)

    return Ngrams(dictionary, tuple(known for known, _ in _walk_orders(words, keys, ngram_max, find_frequent)))


def list_ngrams(words: Words, ngrams: Ngrams) -> Occurrences:
    """List the known n-grams of each text."""
    places, start = [], 0
    for known, text_index, ids in _find(words, ngrams):
        places.append(text_index.astype(np.int64) * len(ngrams) + start + ids)
        start += len(known)
    place, count = np.unique(np.concatenate(places), return_counts=True)
    text_index, ngram = np.divmod(place, max(len(ngrams), 1))
    return Occurrences(text_index, ngram, count)


def _find(words: Words, ngrams: Ngrams) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield for each order its known n-grams, and which of them stand in which text, one by one."""

    def look_up(order: int, _keys: np.ndarray) -> np.ndarray:
        return ngrams.orders[order - 1]

    for known, ids in _walk_orders(words, ngrams.number(words.word), len(ngrams.orders), look_up):
        present = ids != ABSENT
        yield known, words.text_index[present], ids[present]


def _walk_orders(
    words: Words, keys: np.ndarray, ngram_max: int, known_keys: Callable[[int, np.ndarray], np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each order the known n-grams and, for each word, the id of the one that begins there."""
    known = known_keys(1, keys)
    unigrams = ids = _positions(keys, known)
    num_unigrams = len(known)
    yield known, ids
    for order in range(2, ngram_max + 1):
        keys = _extend_by_one_word(ids, unigrams, words.text_index, order, num_unigrams=num_unigrams)
        known = known_keys(order, keys)
        ids = _positions(keys, known)
        yield known, ids


def _extend_by_one_word(
    ids: np.ndarray, unigrams: np.ndarray, text_index: np.ndarray, order: int, *, num_unigrams: int
) -> np.ndarray:
    """Number the n-grams of `order` words; absent where one would leave its text or hold a rare part."""
    shift = order - 1
    first, last = ids[:-shift], unigrams[shift:]
    whole = (first != ABSENT) & (last != ABSENT) & (text_index[:-shift] == text_index[shift:])
    keys = np.full_like(ids, ABSENT)
    keys[:-shift] = np.where(whole, first * num_unigrams + last, ABSENT)
    return keys


def _frequent_keys(keys: np.ndarray, text_index: np.ndarray, min_count: int) -> np.ndarray:
    occurrences = pl.LazyFrame({"key": keys, "text": text_index}).filter(pl.col("key") != ABSENT).unique()
    num_texts = occurrences.group_by("key").agg(pl.len().alias("texts"))
    return num_texts.filter(pl.col("texts") >= min_count).select(pl.col("key").sort()).collect()["key"].to_numpy()


def _positions(keys: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Where each key stands in the sorted known ones."""
    if not len(known):
        return np.full_like(keys, ABSENT)
    order = np.argsort(keys)  # looked up in this order, keys that are near each other are found near each other
    position = np.empty_like(order)
    position[order] = np.searchsorted(known, keys[order])
    position = position.clip(max=len(known) - 1)
    return np.where(known[position] == keys, position, ABSENT)
