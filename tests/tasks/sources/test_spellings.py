"""Labels are compared as people read them, whatever their Unicode form, invisible characters, case and marks."""

import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.contract.profile import UNLISTED
from tasks.errors import InputError
from tasks.kinds.classify.ingest import write_rows
from tasks.kinds.classify.source import SourceSettings
from tasks.labelled.profile import profile_rows
from tasks.sources.inputs import Inputs, find_inputs
from tasks.sources.label_names import look_of, match_labels, plain_label, spelled_out

CLASSES = ("café", "thé vert", "Bar", "Größe", "मराठी", "C#", "C++", "❤")
INVISIBLE = ("\u200b", "\ufeff", "\u00ad", "\u200e", "\u202a", "\u2060", "\ufe0f", "\u034f", "\x7f")
SPELLING = {"nfd": lambda label: unicodedata.normalize("NFD", label), "nfc": str}
OTHER_LOOK = {
    "case": str.swapcase,
    "quotes": '"{}"'.format,
    "stop": "{}.".format,
    "brackets": "({})".format,
    "width": lambda label: label.replace("a", "\uff41").replace("C", "\uff23"),
}


@st.composite
def invisibly_different(draw, label: str) -> str:
    """The same label in another Unicode form, with characters that nobody sees."""
    written = draw(st.sampled_from(sorted(SPELLING)).map(SPELLING.get))(label)
    for char in draw(st.lists(st.sampled_from(INVISIBLE), max_size=3)):
        place = draw(st.integers(0, len(written)))
        written = written[:place] + char + written[place:]
    return written


@st.composite
def written_labels(draw) -> list[tuple[str, str]]:
    """Some classes, each with its rows' spellings."""
    chosen = draw(st.lists(st.sampled_from(CLASSES), min_size=2, max_size=4, unique=True))
    return [(label, draw(invisibly_different(label))) for label in chosen for _ in range(draw(st.integers(1, 4)))]


def read(written: list[str], **changed: object) -> tuple[dict, pl.DataFrame]:
    """Ingest a table of these labels; returns its summary and its rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "menu.jsonl"
        table = pl.DataFrame({"text": [f"text {index}" for index in range(len(written))], "label": written})
        table.write_ndjson(path)
        source = SourceSettings(path=str(path), **changed)
        inputs = find_inputs(source)
        summary = dict(write_rows(Path(folder), settings=source, inputs=inputs, digest=Inputs.digest(inputs)))
        return summary, pl.read_parquet(Path(folder) / "rows.parquet")


@settings(max_examples=40, deadline=None)
@given(written_labels())
def test_forms_and_invisible_characters_make_no_further_classes(rows):
    expected = [plain_label(label) for label, _ in rows]

    summary, read_back = read([written for _, written in rows])

    assert read_back["label"].to_list() == expected
    assert set(summary["labels"]) == set(expected)
    num_changed = sum(written != label for (_, written), label in zip(rows, expected, strict=True))
    said = [warning for warning in summary["warnings"] if warning.startswith("labels of")]
    assert [warning.split(" row")[0] for warning in said] == [f"labels of {num_changed}"] * bool(num_changed)


@settings(max_examples=40, deadline=None)
@given(written_labels(), st.data())
def test_look_alikes_are_an_error_that_names_them_or_one_class(rows, data):
    label, written = data.draw(st.sampled_from(rows))
    other = data.draw(st.sampled_from(sorted(OTHER_LOOK)).map(OTHER_LOOK.get))(written)
    labels = [*(spelling for _, spelling in rows), other]
    num_classes = len({label for label, _ in rows})

    assert len(read(labels, similar_labels="merge")[0]["labels"]) == num_classes
    assert len(read(labels, similar_labels="keep")[0]["labels"]) == num_classes + (
        plain_label(other) != plain_label(label)
    )
    if plain_label(other) != plain_label(label):
        with pytest.raises(InputError, match="E-DATA-030") as error:
            read(labels)
        assert any(spelled_out(one) in str(error.value) for one in (other, plain_label(other)))


@given(st.text(max_size=8))
def test_plain_spelling_and_look_are_final(label):
    assert plain_label(plain_label(label)) == plain_label(label)
    assert look_of(plain_label(label)) == look_of(label)


def test_a_look_alike_is_named_by_file_line_and_column(tmp_path):
    path = tmp_path / "menu.csv"
    path.write_text("text,kind\n" + "a,bar\n" * 3 + "b,Bar\u200b\n" + "c,tea\n" * 2)

    source = SourceSettings(path=str(path), label_column="kind")
    inputs = find_inputs(source)

    with pytest.raises(InputError) as error:
        write_rows(tmp_path, settings=source, inputs=inputs, digest=inputs.digest())

    assert str(error.value) == (
        f'E-DATA-030 {path}:5 column "kind": got "Bar\\u200b" (1 row), which reads like "bar" (3 rows).\n'
        'Fix: spell the label in one way, or set source.similar_labels = "merge" if it is one class, "keep" if not.'
    )


def test_merged_labels_take_the_most_frequent_spelling_and_are_counted():
    summary, rows = read(["bar", "Bar", "bar", "tea", '"bar"'], similar_labels="merge")

    assert rows["label"].to_list() == ["bar", "bar", "bar", "tea", "bar"]
    assert summary["labels"] == {"bar": 4, "tea": 1}
    assert summary["warnings"] == [
        'labels of 2 rows took the most frequent spelling: "Bar" to "bar" (1 row), ""bar"" to "bar" (1 row)'
    ]


def test_names_given_to_labels_are_found_in_any_form():
    names = {"cafe\u0301": "coffee", "tea": "tea"}

    _, rows = read(["caf\u00e9", "tea", "te\u00ada", "cafe\u0301"], labels=names)

    assert rows["label"].to_list() == ["coffee", "tea", "tea", "coffee"]
    with pytest.raises(ValidationError, match="gets two names"):
        SourceSettings(path="x", labels={"cafe\u0301": "coffee", "caf\u00e9": "bar"})


def test_an_invisible_label_is_none():
    with pytest.raises(InputError, match=r'E-DATA-021 .*column "label": got nothing'):
        read(["bar", "\u200b", "tea"])


def test_letters_that_join_and_pictures_keep_their_joiners():
    assert (
        plain_label("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")
        == "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    )
    assert plain_label("\U0001f469\u200d\U0001f4bb") == "\U0001f469\u200d\U0001f4bb"
    assert plain_label("ba\u200dr") == "bar"


def test_official_splits_and_filters_are_found_in_any_form(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label,part,place\na,x,Train,caf\u00e9\nb,y,TEST\u200b,cafe\u0301\nc,x,test,bar\n")
    source = SourceSettings(path=str(path), split_column="part", where={"place": "cafe\u0301"})
    inputs = find_inputs(source)

    summary = dict(write_rows(tmp_path, settings=source, inputs=inputs, digest=inputs.digest()))

    assert (summary["splits"], summary["filtered"]) == ({"test": 1, "train": 1}, {"place": 1})


def test_folders_of_a_mac_and_of_linux_name_one_class(tmp_path):
    for folder in ("Train/cafe\u0301", "Train/bar", "Test/caf\u00e9"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "one.txt").write_text(folder)
    source = SourceSettings(path=str(tmp_path), format="folder", include="*/*/*.txt")
    inputs = find_inputs(source)

    summary = dict(write_rows(tmp_path, settings=source, inputs=inputs, digest=inputs.digest()))

    assert summary["labels"] == {"bar": 1, "caf\u00e9": 2}
    assert summary["splits"] == {"test": 1, "train": 2}


def test_a_model_knows_a_label_in_any_form():
    assert match_labels(["Bar", "cafe\u0301", "tea", "x"], ["bar", "caf\u00e9", "Tea", "tea"]) == {
        "Bar": "bar",
        "cafe\u0301": "caf\u00e9",
        "tea": "tea",
    }
    assert match_labels(["TEA"], ["Tea", "tea"]) == {}

    profile = profile_rows(
        {"length": np.ones(3), "oov_share": np.zeros(3)},
        probabilities=np.array([[0.9, 0.1]] * 3),
        labels=["caf\u00e9", "bar"],
        true_labels=["cafe\u0301", "bar\u200b", "tea"],
    )

    assert (profile.hits, profile.true) == (1, {"caf\u00e9": 1, "bar": 1, UNLISTED: 1})


def test_zeros_before_a_whole_number_make_no_other_class_unasked():
    with pytest.raises(InputError, match=r'^E-DATA-030 .*got "01" \(1 row\), which reads like "1"'):
        read(["1", "1", "01", "2", "10"])

    _, rows = read(["1", "1", "01", "2", "10"], similar_labels="merge")

    assert rows["label"].to_list() == ["1", "1", "1", "2", "10"]
    assert match_labels(["1", "007", "0", "000"], ["01", "7", "00"]) == {"1": "01", "007": "7", "0": "00", "000": "00"}
