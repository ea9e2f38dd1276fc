import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from tasks.text.counted import most_frequent
from tasks.text.ngrams import Ngrams, Words, learn_ngrams, list_ngrams, split_words

WORDS = ["good", "bad", "film", "plot", "Été", "naïve", "x", "2", "42", "the", "don't", "日本", "rare_one"]


def make_texts(num_texts: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, size=size)) for size in generator.integers(0, 12, size=num_texts)]


def count_ngrams(words: Words, ngrams: Ngrams) -> np.ndarray:
    found, counts = list_ngrams(words, ngrams), np.zeros((words.num_texts, len(ngrams)), dtype=int)
    counts[found.text_index, found.ngram] = found.count
    return counts


def count_with_both(train: list[str], other: list[str], *, ngram_max: int, min_count: int) -> tuple:
    words = split_words(pl.Series(train))
    ngrams = learn_ngrams(words, ngram_max=ngram_max, min_count=min_count)
    vectorizer = CountVectorizer(ngram_range=(1, ngram_max), min_df=min_count).fit(train)
    ours = [count_ngrams(split_words(pl.Series(texts)), ngrams) for texts in (train, other)]
    return ours, [vectorizer.transform(texts).toarray() for texts in (train, other)]


def sorted_columns(train: np.ndarray, other: np.ndarray) -> list[tuple]:
    """Both matrices as a set of columns, since the order of the features means nothing."""
    return sorted(map(tuple, np.vstack([train, other]).T.astype(int)))


@pytest.mark.parametrize(("ngram_max", "min_count"), [(1, 1), (2, 1), (2, 3), (3, 2), (4, 2)])
def test_counts_equal_those_of_scikit_learn(ngram_max: int, min_count: int) -> None:
    train, other = make_texts(60, seed=1), [*make_texts(30, seed=2), "unheard of words, then a good film", ""]
    ours, theirs = count_with_both(train, other, ngram_max=ngram_max, min_count=min_count)
    assert ours[0].shape[1] == theirs[0].shape[1] > 5
    assert sorted_columns(*ours) == sorted_columns(*theirs)


def test_no_ngram_spans_two_texts() -> None:
    words = split_words(pl.Series(["good", "film"]))
    ngrams = learn_ngrams(words, ngram_max=2, min_count=1)
    assert [len(known) for known in ngrams.orders] == [2, 0]


def test_a_word_missing_from_the_middle_breaks_an_ngram() -> None:
    ngrams = learn_ngrams(split_words(pl.Series(["good film"])), ngram_max=2, min_count=1)
    counts = count_ngrams(split_words(pl.Series(["good film", "good strange film"])), ngrams)
    assert counts.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_texts_without_words_are_rows_of_zeros() -> None:
    ngrams = learn_ngrams(split_words(pl.Series(["good film"])), ngram_max=3, min_count=1)
    assert count_ngrams(split_words(pl.Series(["", "!", "a b"])), ngrams).tolist() == [[0] * 3] * 3


@pytest.mark.parametrize("max_features", [1, 7, 20, 1000])
def test_the_most_frequent_ngrams_count_alone_as_they_do_among_all(max_features: int) -> None:
    words, other = split_words(pl.Series(make_texts(60, seed=1))), split_words(pl.Series(make_texts(30, seed=2)))
    ngrams = learn_ngrams(words, ngram_max=3, min_count=2)
    wanted = most_frequent(list_ngrams(words, ngrams), len(ngrams), max_features)
    kept = ngrams.keep(wanted)
    assert len(kept) == min(max_features, len(ngrams)) == wanted.sum()
    assert count_ngrams(other, kept).tolist() == count_ngrams(other, ngrams)[:, wanted].tolist()
    assert len(kept.dictionary) == len(kept.orders[0])


def test_no_ngrams_are_found_nowhere() -> None:
    none = learn_ngrams(split_words(pl.Series(["good film", "bad plot"])), ngram_max=2, min_count=3)
    assert len(none) == 0
    assert count_ngrams(split_words(pl.Series(["good film", ""])), none).shape == (2, 0)


def test_texts_of_which_none_has_a_word_have_no_ngrams() -> None:
    words = split_words(pl.Series(["!!! ??", ""]))
    none = learn_ngrams(words, ngram_max=3, min_count=1)
    assert count_ngrams(words, none).shape == (2, 0)
