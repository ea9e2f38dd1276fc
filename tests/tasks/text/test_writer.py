from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.text.subwords import learn_subwords
from tasks.text.tokenizers import normalized, singly_spaced
from tasks.text.vocabulary import BOUNDARY_ID, UNKNOWN_ID, Vocabulary

TEXT = "Zwölf Boxkämpfer, 12 🎉!\n\n  jagen\tViktor.\n"


def ids_of(vocabulary: Vocabulary, text: str) -> list[int]:
    return pl.DataFrame({"text": [text]}).select(vocabulary.ids_of_text(pl.col("text"))).item().to_list()


@pytest.fixture(scope="module")
def subwords() -> Vocabulary:
    texts = pl.LazyFrame({"text": ["the cat sat on the mat, the cat ran"] * 3})
    return learn_subwords(texts, lowercase=False, max_size=280, min_count=1)


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_subwords_read_as_they_were_written_whatever_the_text(subwords: Vocabulary, text: str):
    plain = pl.DataFrame({"text": [text]}).select(normalized(pl.col("text"), lowercase=False)).item()

    written = [subwords.text_of(ids_of(subwords, text)) if plain else ""]

    assert written == [plain]


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_characters_read_as_they_were_written(text: str):
    plain = pl.DataFrame({"text": [text]}).select(normalized(pl.col("text"), lowercase=False)).item()
    vocabulary = Vocabulary("char", False, tuple(sorted(set(plain))))

    assert vocabulary.text_of(ids_of(vocabulary, text)) == plain


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab \n<>\t", max_size=40).filter(str.strip))
def test_what_stands_between_spaces_reads_as_its_tokens_tell_it(text: str):
    plain = pl.DataFrame({"text": [text]}).select(singly_spaced(pl.col("text"))).item()
    tokens = tuple(sorted({"\n", *plain.replace("\n", " ").split()}))

    vocabulary = Vocabulary("space", False, tokens)

    assert vocabulary.text_of(ids_of(vocabulary, text)) == plain


def test_a_character_that_comes_in_several_tokens_is_shown_when_it_is_whole(subwords: Vocabulary):
    writer, ids = subwords.writer(), ids_of(subwords, "🎉é")
    shown = [writer.add(token) for token in ids]

    assert len(ids) == 6
    assert shown == ["", "", "", "🎉", "", "é"]
    assert writer.finish() == ""


def test_bytes_that_are_no_character_are_marked(subwords: Vocabulary):
    writer = subwords.writer()
    shown = [writer.add(token) for token in ids_of(subwords, "🎉")[:2]]

    assert shown == ["", ""]
    assert writer.finish() == "\ufffd"


def test_words_stand_apart_and_marks_do_not():
    vocabulary = Vocabulary("word", True, ("he", "said", ",", "(", "no", ")", "."))

    assert vocabulary.text_of([2, 3, 4, 5, 6, 7, 8]) == "he said, (no)."


def test_unknown_tokens_and_boundaries():
    words = Vocabulary("space", False, ("a", "<unk>", "\n"))
    characters = Vocabulary("char", False, ("a", "b"))

    assert words.text_of([BOUNDARY_ID, 2, UNKNOWN_ID, 4, 3, BOUNDARY_ID]) == "a <unk>\n<unk>"
    assert characters.text_of([BOUNDARY_ID, 2, UNKNOWN_ID, BOUNDARY_ID, 3]) == "a\ufffdb"


def test_a_stored_vocabulary_reads_alike(tmp_path: Path, subwords: Vocabulary):
    subwords.save(tmp_path / "vocabulary.json")
    stored = Vocabulary.load(tmp_path / "vocabulary.json")

    assert stored.text_of(ids_of(stored, TEXT)) == TEXT
