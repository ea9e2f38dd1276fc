from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.store.artefacts import Artefact
from tasks.text import pieces
from tasks.text.spelling import Speller
from tasks.text.vocabulary import UNKNOWN_ID, tokens_of_text
from tests.tasks.kinds.language.preparing import divided, encoded, ingested, texts_of, vocabulary_of
from tests.tasks.kinds.language.test_split import write_book

TEXT = "The cat sat.\nThe dog\tsat, too.  Où? 🎉\n" * 40 + "Zebras zoom."


def splits_of(tmp_path: Path, text: str = TEXT, **settings: object) -> Artefact:
    (tmp_path / "book.txt").write_text(text)
    return divided(ingested(tmp_path / "book.txt"), **settings)


def tokens_of(found: Artefact, name: str = "train") -> pl.DataFrame:
    return pl.read_parquet(found.file(f"{name}.parquet"))


@pytest.mark.parametrize("settings", [{}, {"tokenizer": "subword", "max_size": 270}])
def test_characters_and_subwords_give_the_text_back(project: Path, tmp_path: Path, settings: dict):
    splits = splits_of(tmp_path)
    found = encoded(splits, **settings)

    for name, texts in texts_of(splits).items():
        rows = tokens_of(found, name)
        known = texts[0] if settings else texts[0].translate(dict.fromkeys(map(ord, "Zbrmz"), "\ufffd"))
        assert [vocabulary_of(found).text_of(ids) for ids in rows["tokens"]] == [known]
        assert rows["num_chars"].to_list() == [len(texts[0])]


def test_the_encoded_columns_are_what_later_stages_read(project: Path, tmp_path: Path):
    rows = tokens_of(encoded(splits_of(tmp_path)))

    assert rows.schema == {
        "row": pl.UInt32,
        "tokens": pl.List(pl.UInt8),
        "num_chars": pl.UInt32,
        "spelling_nats": pl.Float64,
    }


@pytest.mark.parametrize("tokenizer", ["word", "char", "space"])
def test_unknown_tokens_cost_what_spelling_them_does(project: Path, tmp_path: Path, tokenizer: str):
    splits = splits_of(tmp_path)
    found = encoded(splits, tokenizer=tokenizer, max_size=8)
    vocabulary, speller = vocabulary_of(found), Speller.load(found.file("spelling.json"))

    for name, texts in texts_of(splits).items():
        spelled = cut(texts[0], tokenizer)
        unknown = [token for token in spelled if token not in vocabulary.tokens]
        ids, nats = tokens_of(found, name).select("tokens", "spelling_nats").row(0)
        assert len(ids) == len(spelled)
        assert ids.count(UNKNOWN_ID) == len(unknown) > 0
        assert nats == pytest.approx(sum(speller.nats_of(pl.Series([token])).item() for token in unknown))


def cut(text: str, tokenizer: str) -> list[str]:
    tokens = tokens_of_text(pl.col("text"), tokenizer=tokenizer, lowercase=False)
    return pl.DataFrame({"text": [text]}).select(tokens).item().to_list()


def test_without_unknown_tokens_nothing_is_spelled(project: Path, tmp_path: Path):
    found = encoded(splits_of(tmp_path), tokenizer="subword", max_size=300)

    assert [tokens_of(found, name)["spelling_nats"].item() for name in ("train", "valid", "test")] == [0, 0, 0]


def test_texts_cut_by_spaces_have_line_ends_as_tokens_and_their_own_unknown_word(project: Path, tmp_path: Path):
    splits = splits_of(tmp_path, " no <unk> it was n't \n black  monday \n" * 50)
    found = encoded(splits, tokenizer="space")
    tokens = tokens_of(found)

    vocabulary = vocabulary_of(found)
    assert set(vocabulary.tokens) >= {"<unk>", "\n", "n't"}
    assert UNKNOWN_ID not in tokens["tokens"].item().to_list()
    text = vocabulary.text_of(tokens["tokens"].item())
    assert text.startswith("no <unk> it was n't\nblack monday\nno")
    assert tokens["num_chars"].item() == len(text)


def test_the_vocabulary_is_of_the_training_text_alone(project: Path, tmp_path: Path):
    splits = splits_of(tmp_path)
    found = encoded(splits)

    assert set(vocabulary_of(found).tokens) == set(texts_of(splits)["train"][0])
    assert found.summary["oov_share"]["train"] == 0 < found.summary["oov_share"]["test"]


def test_of_words_the_summary_says_what_is_left_out(project: Path, tmp_path: Path):
    splits = splits_of(tmp_path)

    assert "white space and case" in encoded(splits, tokenizer="word", lowercase=True).summary["note"]
    assert "note" not in encoded(splits).summary


def test_a_split_of_unknown_words_is_a_problem(project: Path, tmp_path: Path):
    (tmp_path / "a.train.txt").write_text("one two three " * 50)
    (tmp_path / "a.valid.txt").write_text("eins zwei drei " * 50)
    rows = ingested(tmp_path / "*.txt", split_files={"train": "*.train.txt", "valid": "*.valid.txt"})

    found = encoded(divided(rows), tokenizer="word")

    assert found.summary["problems"][0].startswith("100% of the words of the validation text are unknown")


@pytest.mark.parametrize("settings", [{}, {"tokenizer": "word", "max_size": 50}, {"tokenizer": "space"}])
def test_a_long_text_is_encoded_in_pieces_as_in_one(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict
):
    write_book(tmp_path / "book.txt")
    splits = divided(ingested(tmp_path / "book.txt"))
    whole = tokens_of(encoded(splits, **settings))
    monkeypatch.setenv("RNNFLOW_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(pieces, "PIECE_CHARS", 100)
    monkeypatch.setattr(pieces, "GROUP_BYTES", 1000)

    cut = tokens_of(encoded(splits, **settings))

    assert np.array_equal(cut["tokens"].item(), whole["tokens"].item())
    assert cut["num_chars"].item() == whole["num_chars"].item()
    assert cut["spelling_nats"].item() == pytest.approx(whole["spelling_nats"].item())
