import importlib.util
import itertools
import unicodedata
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnmodels.durable import sha256_of_file
from tasks.encode import encode
from tasks.errors import InputError
from tasks.kinds.classify.encode import EncodeSettings
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.labelled.truncation import truncated
from tasks.store import artefacts
from tasks.store.manifest import Summary
from tasks.text.vocabulary import Vocabulary, smallest_unsigned, tokens_of_text

TRAIN = ["The cat sat.<br /><br />It didn't purr!", "the dog sat", "A cat, a dog", "the end"]


def cut(text: str, tokenizer: str = "word", *, lowercase: bool = True) -> list[str]:
    tokens = tokens_of_text(pl.col("text"), tokenizer=tokenizer, lowercase=lowercase)
    return pl.DataFrame({"text": [text]}).select(tokens).item().to_list()


def make_splits(train: list[str] = TRAIN, test: list[str] = ["the zebra sat"]) -> artefacts.Artefact:
    texts = {"train": train, "valid": ["a cat"], "test": test}

    def write(folder: Path) -> dict:
        first_row = 0
        for name, column in texts.items():
            rows = pl.Series(range(first_row, first_row + len(column)), dtype=pl.UInt32)
            labels = [("neg", "pos")[row % 2] for row in rows]
            pl.DataFrame({"row": rows, "text": column, "label": labels}).write_parquet(folder / f"{name}.parquet")
            first_row += len(column)
        counts = {name: len(column) for name, column in texts.items()}
        return Summary.model_validate({"rows": first_row, "splits": counts, "labels": ["neg", "pos"]})

    return artefacts.build("split", write, module="tasks.store.artefacts", config={"texts": texts})


def encoded_ids(artefact: artefacts.Artefact, split: str = "train") -> list[list[int]]:
    return pl.read_parquet(artefact.file(f"{split}.parquet")).sort("row")["tokens"].to_list()


def test_words_keep_contractions_and_make_punctuation_tokens():
    assert cut("It didn't purr!<br /><br />O\u2019Neil said: 3.5") == [
        *("it", "didn't", "purr", "!", "o\u2019neil", "said", ":", "3", ".", "5")
    ]


def test_case_is_kept_on_demand():
    assert cut("The Cat", lowercase=False) == ["The", "Cat"]


def test_characters_are_code_points():
    assert cut("Aé\n🎉", "char") == ["a", "é", "\n", "🎉"]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_canonically_equal_texts_have_equal_tokens(text: str):
    assert cut(unicodedata.normalize("NFD", text)) == cut(unicodedata.normalize("NFC", text))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_cutting_joined_tokens_again_changes_nothing(text: str):
    tokens = cut(text)

    assert cut(" ".join(tokens)) == tokens


def test_the_vocabulary_comes_from_training_rows_alone_and_ties_break_by_token():
    vocabulary = Vocabulary.load(
        encode.fn(CLASSIFY, make_splits(), EncodeSettings(min_count=2)).file("vocabulary.json")
    )

    assert vocabulary.tokens == ("the", "a", "cat", "dog", "sat")  # 3 times, then 2 times each


def test_ids_are_those_of_a_plain_python_loop():
    artefact = encode.fn(CLASSIFY, make_splits(), EncodeSettings(min_count=1))
    tokens = Vocabulary.load(artefact.file("vocabulary.json")).tokens
    expected = [[2 + tokens.index(token) for token in cut(text)] for text in TRAIN]

    assert encoded_ids(artefact) == expected


def test_what_the_training_rows_lack_becomes_unknown_and_is_measured():
    artefact = encode.fn(CLASSIFY, make_splits(test=["the zebra sat", ""]), EncodeSettings(min_count=1))

    assert [row[1:2] for row in encoded_ids(artefact, "test")] == [[1], []]
    assert encoded_ids(artefact, "test")[1] == [1]
    assert artefact.summary["oov_share"] == {"train": 0.0, "valid": 0.0, "test": 0.5}
    assert artefact.summary["num_tokens"]["test"] == 4


def test_row_order_never_changes_the_vocabulary():
    digests = {
        sha256_of_file(
            encode.fn(
                CLASSIFY, make_splits(list(np.random.default_rng(seed).permutation(TRAIN))), EncodeSettings(min_count=1)
            ).file("vocabulary.json")
        )
        for seed in range(5)
    }

    assert len(digests) == 1


def test_max_size_keeps_the_most_frequent():
    assert encode.fn(CLASSIFY, make_splits(), EncodeSettings(max_size=1)).summary["vocabulary_size"] == 3


def test_a_min_count_that_no_token_reaches_says_what_the_largest_is():
    with pytest.raises(InputError) as error:
        encode.fn(CLASSIFY, make_splits(), EncodeSettings(min_count=50))

    assert str(error.value) == (
        "E-DATA-010 no token occurs 50 times in the training rows; the most frequent occurs 3 times.\n"
        "Fix: set encode.min_count = 2, or add training rows."
    )


def test_texts_of_unknown_words_are_a_problem_although_their_full_stops_are_known():
    sizes = {"train": 8, "valid": 4, "test": 4}
    words = map("".join, itertools.permutations("abcdef"))

    def write(folder: Path) -> dict:
        for split, size in sizes.items():
            texts = [next(words) + "\u3002" for _ in range(size)]
            columns = {"row": range(size), "text": texts, "label": ["neg", "pos"] * (size // 2)}
            pl.DataFrame(columns, schema_overrides={"row": pl.UInt32}).write_parquet(folder / f"{split}.parquet")
        return Summary.model_validate({"rows": sum(sizes.values()), "splits": sizes, "labels": ["neg", "pos"]})

    splits = artefacts.build("split", write, module="tasks.store.artefacts", config={"of": "unknown words"})

    summary = encode.fn(CLASSIFY, splits, EncodeSettings()).summary
    assert summary["oov_share"]["valid"] == 0.5
    assert summary["problems"] == [
        "100% of the words of the validation rows are unknown to the vocabulary of the training rows, so models can "
        'say little about these texts; set encode.tokenizer = "char" or "subword", as for texts without spaces between '
        "words"
    ]
    assert "problems" not in encode.fn(CLASSIFY, splits, EncodeSettings(tokenizer="char")).summary


def read_ids(vocabulary: Vocabulary, *texts: str) -> list[list[int]]:
    return pl.DataFrame({"text": texts}).select(vocabulary.ids_of_text(pl.col("text"))).to_series().to_list()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["<pad>", "<unk>", "<", "pad", ">", "\x00", " "]), max_size=8).map("".join))
def test_no_text_can_spell_padding(text: str):
    for tokenizer in ("word", "char"):
        vocabulary = Vocabulary(tokenizer, lowercase=True, tokens=("<pad>", "<unk>", *"<>pad"))
        ids = read_ids(vocabulary, text)[0]
        assert 0 not in ids


@pytest.mark.parametrize("tokenizer", ["word", "char", "subword"])
def test_the_served_encoder_reads_texts_as_the_stage_does(tokenizer: str):
    if tokenizer == "subword" and importlib.util.find_spec("tokenizers") is None:
        pytest.skip("the extra rnnflow[subword] is not installed")
    artefact = encode.fn(CLASSIFY, make_splits(), EncodeSettings(tokenizer=tokenizer, min_count=1, max_size=300))

    assert read_ids(Vocabulary.load(artefact.file("vocabulary.json")), *TRAIN) == encoded_ids(artefact)


@pytest.mark.parametrize("text", ["", "   ", "🎉🎉", "zebra", "e\u0301\u202e\u200b", "\U0010ffff"])
def test_odd_texts_have_at_least_one_token(text: str):
    assert len(read_ids(Vocabulary("word", lowercase=True, tokens=("a",)), text)[0]) >= 1


def test_subwords_need_room_for_every_byte():
    pytest.importorskip("tokenizers")
    with pytest.raises(InputError, match=r'E-CFG-005 column "encode.max_size": got 100, expected at least 256'):
        encode.fn(CLASSIFY, make_splits(), EncodeSettings(tokenizer="subword", max_size=100))


@pytest.mark.parametrize(("keep", "expected"), [("head", [1, 2, 3]), ("tail", [3, 4, 5]), ("both", [1, 4, 5])])
def test_truncation_keeps_the_asked_ends(keep: str, expected: list[int]):
    frame = pl.DataFrame({"ids": [[1, 2, 3, 4, 5], [7, 8]]})

    cut_ids = frame.select(truncated(pl.col("ids"), max_length=3, keep=keep))["ids"].to_list()

    assert cut_ids == [expected, [7, 8]]


@pytest.mark.parametrize(("size", "expected"), [(256, pl.UInt8()), (257, pl.UInt16()), (65_537, pl.UInt32())])
def test_ids_take_the_smallest_type(size: int, expected: pl.DataType):
    assert smallest_unsigned(size) == expected
