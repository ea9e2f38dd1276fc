import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.kinds.language.passages import cut
from tests.tasks.kinds.language.preparing import divided, ingested, texts_of


def sentences(number: int, *, seed: int = 0, words: int = 30) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(f"w{rng.randrange(2000)}" for _ in range(words)) for _ in range(number)]


def write_book(path: Path, number: int = 60, *, seed: int = 0) -> str:
    text = "\n".join(sentences(number, seed=seed)) + "\n"
    path.write_text(text)
    return text


def write_table(path: Path, texts: list[str], splits: list[str | None] | None = None) -> Path:
    columns = {"text": texts, **({} if splits is None else {"split": splits})}
    pl.DataFrame(columns).write_csv(path)
    return path


def test_a_book_is_cut_by_position_at_exact_characters(project: Path, tmp_path: Path):
    text = write_book(tmp_path / "book.txt")

    splits = divided(ingested(tmp_path / "book.txt"), valid=0.1, test=0.1)

    train, valid, test = (texts[0] for texts in texts_of(splits).values())
    assert train + valid + test == text
    assert len(train) == int(len(text) * 0.8)
    assert len(train + valid) == int(len(text) * 0.9)
    assert splits.summary["divided"] == "position"


def test_without_a_test_share_validation_stands_for_it_and_a_warning_says_so(project: Path, tmp_path: Path):
    text = write_book(tmp_path / "book.txt")

    splits = divided(ingested(tmp_path / "book.txt"), valid=0.1, test=0)

    train, valid, test = (texts[0] for texts in texts_of(splits).values())
    assert train == text[: int(len(text) * 0.9)]
    assert valid == test == text[int(len(text) * 0.9) :]
    assert splits.summary["test_is_valid"]
    assert "also chose the epoch" in splits.summary["warnings"][0]


@given(st.text(max_size=200), st.floats(0.01, 0.4), st.floats(0, 0.4))
def test_a_cut_loses_and_repeats_nothing(text: str, valid: float, test: float):
    assert "".join(cut(text, valid, test)) == text


def test_many_documents_are_divided_whole_and_nearly_equal_ones_stay_together(project: Path, tmp_path: Path):
    texts = sentences(200)
    near = [f"{text} and more" for text in texts[:50]]
    again = [text.upper() for text in texts[50:60]]
    path = write_table(tmp_path / "rows.csv", texts + near + again)

    splits = divided(ingested(path))

    parts = texts_of(splits)
    place = {text: name for name, members in parts.items() for text in members}
    assert splits.summary["divided"] == "document"
    assert splits.summary["dropped"] == {"same document": 10}
    assert {name: len(members) for name, members in parts.items()} == splits.summary["splits"]
    assert all(place[text] == place[f"{text} and more"] for text in texts[:50])
    assert len(place) == 250


def test_an_official_split_is_kept_and_what_repeats_its_test_rows_goes(project: Path, tmp_path: Path):
    texts = sentences(40)
    splits = ["train"] * 30 + ["test"] * 9 + ["unlabelled"]
    path = write_table(tmp_path / "rows.csv", [texts[35], *texts[1:]], splits)

    found = divided(ingested(path, split_column="split"))

    parts = texts_of(found)
    assert sorted(parts["test"]) == sorted(texts[30:39])
    assert set(parts["train"]) | set(parts["valid"]) == {*texts[1:30], texts[39]}
    assert found.summary["divided"] == "document"


def test_text_for_training_and_tests_in_two_files_is_validated_on_how_the_first_ends(project: Path, tmp_path: Path):
    train, test = write_book(tmp_path / "a.train.txt", seed=1), write_book(tmp_path / "a.test.txt", seed=2)

    rows = ingested(tmp_path / "*.txt", split_files={"train": "*.train.txt", "test": "*.test.txt"})
    parts = texts_of(divided(rows))

    assert parts["test"] == [test]
    assert parts["train"][0] + parts["valid"][0] == train
    assert len(parts["train"][0]) == int(len(train) * 0.9)


def test_three_files_are_the_splits_that_they_say(project: Path, tmp_path: Path):
    texts = {
        name: write_book(tmp_path / f"{name}.txt", seed=seed) for seed, name in enumerate(("train", "valid", "test"))
    }

    rows = ingested(tmp_path / "*.txt", split_files={name: f"{name}.txt" for name in texts})
    splits = divided(rows)

    assert texts_of(splits) == {name: [text] for name, text in texts.items()}
    assert splits.summary["divided"] == "official"


def test_training_text_alone_is_divided_like_any_other(project: Path, tmp_path: Path):
    (tmp_path / "train").mkdir()
    text = write_book(tmp_path / "train" / "book.txt")

    parts = texts_of(divided(ingested(tmp_path)))

    assert "".join(parts[name][0] for name in ("train", "valid", "test")) == text


def test_of_a_few_documents_that_are_nearly_equal_one_is_cut(project: Path, tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(" ".join(sentences(20)) + f" {name}")

    splits = divided(ingested(tmp_path / "*.txt"))

    assert splits.summary["dropped"] == {"near duplicate": 1}
    assert splits.summary["splits"] == {"train": 1, "valid": 1, "test": 1}


def test_too_few_documents_to_draw_from_are_refused_with_a_remedy(project: Path, tmp_path: Path):
    path = write_table(tmp_path / "rows.csv", sentences(2))

    with pytest.raises(InputError, match=r"E-DATA-003 found 2 distinct documents(.|\n)*split.by = \"position\""):
        divided(ingested(path), by="document")


def test_a_text_too_short_to_cut_is_refused(project: Path, tmp_path: Path):
    (tmp_path / "book.txt").write_text("ab")

    with pytest.raises(InputError, match="E-DATA-060 found only 2 characters"):
        divided(ingested(tmp_path / "book.txt"))


def test_held_documents_stay_when_rows_are_added_and_removed(project: Path, tmp_path: Path):
    texts = sentences(120)
    first = divided(ingested(write_table(tmp_path / "a.csv", texts[:100])))
    kept = texts_of(first)

    later = divided(ingested(write_table(tmp_path / "b.csv", texts[20:])), held=first)

    assert sorted(texts_of(later)["valid"]) == sorted(kept["valid"])
    assert sorted(texts_of(later)["test"]) == sorted(kept["test"])
    assert not set(texts_of(later)["train"]) & {*kept["valid"], *kept["test"]}
    assert later.summary["num_held"] == 20


def test_the_held_end_of_a_book_is_not_trained_on_when_the_book_grows(project: Path, tmp_path: Path):
    text = write_book(tmp_path / "book.txt")
    first = divided(ingested(tmp_path / "book.txt"))
    kept, more = texts_of(first), "\n".join(sentences(40, seed=5))
    (tmp_path / "book.txt").write_text(text + more)

    later = texts_of(divided(ingested(tmp_path / "book.txt"), held=first))

    assert (later["valid"], later["test"]) == (kept["valid"], kept["test"])
    assert later["train"] == [kept["train"][0], more]


def test_of_held_passages_that_were_edited_no_long_line_is_trained_on(project: Path, tmp_path: Path):
    text = write_book(tmp_path / "book.txt")
    first = divided(ingested(tmp_path / "book.txt"))
    kept = texts_of(first)
    (tmp_path / "book.txt").write_text(text.replace(text[-50:-30], "edited"))

    later = divided(ingested(tmp_path / "book.txt"), held=first)

    trained = set("\n".join(texts_of(later)["train"]).splitlines())
    assert texts_of(later)["test"] == kept["test"]
    assert not trained & set(kept["test"][0].splitlines()[1:])
    assert "are not trained on" in later.summary["warnings"][0]


def test_the_same_rows_under_the_same_settings_need_no_holding(project: Path, tmp_path: Path):
    write_book(tmp_path / "book.txt")
    rows = ingested(tmp_path / "book.txt")
    first = divided(rows)

    assert divided(rows, held=first).key == first.key
    assert divided(rows, held=first, valid=0.2).summary["splits"]["valid"] == 1
