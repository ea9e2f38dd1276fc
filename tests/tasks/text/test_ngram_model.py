from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.text.counted import count_texts
from tasks.text.ngram_model import NGRAM_FILES, NgramModel
from tasks.text.ngrams import WORD, WORD_OR_MARK, list_ngrams, split_words

TEXTS = ["a good film", "good, good film!", "bad plot", "", "unheard of", "film plot film plot " * 500]


def make_model(weighing: str, num_columns: int) -> NgramModel:
    texts = {"train": pl.Series([*TEXTS, "été good", "bad film", "good plot!"])}
    pattern = WORD_OR_MARK if weighing == "presence" else WORD
    counted = count_texts(texts, pattern, ngram_max=2, min_count=1)
    generator = np.random.default_rng(1)
    size = len(counted.ngrams)
    return NgramModel(
        pattern=pattern,
        ngrams=counted.ngrams,
        weighing=weighing,
        idf=np.empty(0, np.float32) if weighing == "presence" else counted.inverse_document_frequency(),
        weights=generator.normal(size=(size, num_columns)).astype(np.float32),
        intercept=generator.normal(size=num_columns),
        link="one-against-rest" if weighing == "presence" else "softmax",
    )


@pytest.mark.parametrize("weighing", ["tf-idf", "sublinear-tf-idf", "presence"])
@pytest.mark.parametrize("num_columns", [1, 3])
def test_a_stored_model_answers_as_it_did(tmp_path: Path, weighing: str, num_columns: int) -> None:
    model = make_model(weighing, num_columns)
    model.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NGRAM_FILES)
    logits = NgramModel.load(tmp_path).logits(TEXTS)
    assert logits.dtype == np.float32
    assert logits.shape == (len(TEXTS), max(2, num_columns))
    assert np.array_equal(logits, model.logits(TEXTS))


@pytest.mark.parametrize("weighing", ["sublinear-tf-idf", "presence"])
def test_no_text_changes_the_logits_of_another(weighing: str) -> None:
    model = make_model(weighing, 3)
    together = model.logits(TEXTS * 3)
    for index, text in enumerate(TEXTS * 3):
        assert model.logits([text])[0] == pytest.approx(together[index], abs=1e-6)


def test_presence_adds_the_weight_of_each_ngram_once() -> None:
    model = make_model("presence", 1)
    texts = ["good good good film", "bad !"]
    found = list_ngrams(split_words(pl.Series(texts), WORD_OR_MARK), model.ngrams)
    present = np.zeros((2, len(model.ngrams)))
    present[found.text_index, found.ngram] = 1
    assert present.sum(axis=1).tolist() == [3, 2]  # "good", "film", "good film"; "bad", "!"
    expected = present @ model.weights[:, 0] + model.intercept
    assert model.logits(texts)[:, 1] == pytest.approx(expected, abs=1e-6)


def test_a_text_without_a_known_ngram_gets_the_intercept() -> None:
    model = make_model("tf-idf", 1)
    assert model.logits(["", "zzz"])[:, 1] == pytest.approx([float(model.intercept[0])] * 2, abs=1e-6)
    assert model.logits([]).shape == (0, 2)
