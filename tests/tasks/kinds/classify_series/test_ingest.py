"""Tables with a row per step become one row per sequence, and every fault is named by file, row and column."""

from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from tasks.errors import InputError
from tasks.kinds.classify_series.source import SequenceSource
from tasks.sources.inputs import find_inputs
from tests.tasks.kinds.classify_series.conftest import draw_table

HEADER = "id,time,x,y,label\n"
TABLE = f"{HEADER}b,0,1,2,up\nb,1,,4,up\na,0,5,6,down\n"


def read_rows(artefact) -> list[dict]:
    return pl.read_parquet(artefact.file("rows.parquet")).to_dicts()


def test_steps_are_gathered_in_the_order_in_which_sequences_appear(ingest_table):
    artefact = ingest_table(TABLE)

    assert read_rows(artefact) == [
        {
            **{"row": 0, "series": "b", "label": "up", "split": None, "length": 2},
            **{"time": [0, 1], "value.x": [1.0, None], "value.y": [2.0, 4.0]},
        },
        {
            **{"row": 1, "series": "a", "label": "down", "split": None, "length": 1},
            **{"time": [0], "value.x": [5.0], "value.y": [6.0]},
        },
    ]
    summary = artefact.summary
    assert (summary["rows"], summary["steps"], summary["labels"]) == (2, 3, {"down": 1, "up": 1})
    assert (summary["channels"], summary["missing"]) == (["x", "y"], {"value.x": 1})
    assert summary["warnings"] == ['1 missing value in "x"']


def test_interleaved_and_shuffled_rows_give_the_same_sequences(ingest_table):
    table = draw_table(6)
    expected = read_rows(ingest_table(table))

    mixed = read_rows(ingest_table(table.sample(fraction=1, shuffle=True, seed=1), unsorted="sort"))

    by_id = {row["series"]: row | {"row": 0} for row in mixed}
    assert by_id == {row["series"]: row | {"row": 0} for row in expected}


def test_a_long_table_and_times_of_day_are_read(ingest_table):
    table = (
        "id,time,channel,value,label\n"
        "a,2024-01-01T00:00,u,1,up\na,2024-01-01T00:00,v,2,up\n"
        "a,2024-01-01T00:07,u,3,up\na,2024-01-01T00:07,v,4,up\nb,2024-01-01T00:00,u,5,down\n"
    )

    first, second = read_rows(ingest_table(table, channel_column="channel", value_columns=("value",), time_unit="text"))

    assert (first["value.u"], first["value.v"]) == ([1, 3], [2, 4])
    assert (second["value.u"], second["value.v"]) == ([5], [None])


def test_labels_are_renamed_and_official_splits_kept(ingest_table):
    table = "id,time,x,y,label,part\na,0,1,1,1,train\nb,0,1,2,0,dev\nc,0,1,3,0,test\nd,0,1,3,,unsup\n"

    rows = read_rows(ingest_table(table, split_column="part", labels={"0": "no", "1": "yes"}))

    assert [(row["label"], row["split"]) for row in rows] == [
        ("yes", "train"),
        ("no", "valid"),
        ("no", "test"),
        (None, "unlabelled"),
    ]


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        (
            "a,0,1,2,up\na,1,1,2,down\nb,0,1,2,down\n",
            'E-SEQ-002 {file}:3 column "label": got "down" in sequence "a", whose first row has "up".\n'
            "Fix: give all rows of a sequence one label, or check id_columns.",
        ),
        (
            "a,0,,,up\na,1,NaN,na,up\nb,0,1,2,down\n",
            'E-SEQ-001 {file}:2: sequence "a" has no number at any step.\n'
            "Fix: fill them in, or leave the sequence out.",
        ),
        (
            "a,0,1,2,up\na,0,1,3,up\nb,0,1,2,down\n",
            'E-TIME-014 {file}:3 column "time": got 0 again in series "a", first in {file}:2 (1 of 3 rows repeats '
            'a time of their series).\nFix: remove one of the rows, or set duplicates = "first", "last" or "mean".',
        ),
        (
            "a,1,1,2,up\na,0,1,3,up\nb,0,1,2,down\n",
            'E-TIME-013 {file}:3 column "time": got 0 after 1 in series "a".\n'
            'Fix: sort the rows, or set unsorted = "sort".',
        ),
        (
            "a,0,inf,2,up\nb,0,1,2,down\n",
            'E-SER-002 {file}:2 column "x": got "inf", expected a number of at most 1e+30.\n'
            "Fix: leave cells of missing values empty, or choose a larger unit.",
        ),
        (
            "a,0,1,x,up\nb,0,1,2,down\n",
            'E-SER-001 {file}:2 column "y": got "x", expected a number.\n'
            'Fix: if it means a missing value, list it: missing_values = ["x"]; else write a number.',
        ),
        (
            "a,0,1,2,\nb,0,1,2,down\n",
            'E-DATA-021 {file}:2 column "label": got nothing, expected a label.\n'
            'Fix: fill the label in, drop the row, or put it in the split "unlabelled".',
        ),
        (
            "a,0,1,2,0.5\nb,0,1,2,down\n",
            'E-DATA-013 {file}:2 column "label": got "0.5", expected a name or an integer.\n'
            "Fix: write class names or integers, without decimal point or comma, or list them in `labels`; a quantity "
            "to predict is not a label.",
        ),
        (
            ",0,1,2,up\nb,0,1,2,down\n",
            'E-SER-004 {file}:2 column "id": got no id.\nFix: fill it in, or drop the row.',
        ),
        (
            "a,0,1,2,up\nb,0,1,2,up\n",
            'E-DATA-002 found "up" in 2 sequences, expected at least 2 classes.\n'
            "Fix: check label_column, or add sequences of another class.",
        ),
    ],
)
def test_a_fault_is_named_by_file_row_and_column(ingest_table, project: Path, rows: str, error: str):
    with pytest.raises(InputError) as caught:
        ingest_table(HEADER + rows)

    assert str(caught.value) == error.replace("{file}", str(project / "sequences.csv"))


def test_a_split_that_changes_within_a_sequence_is_refused(ingest_table):
    table = "id,time,x,y,label,split\na,0,1,2,up,train\na,1,1,2,up,test\nb,0,1,2,down,train\n"

    with pytest.raises(InputError, match=r'E-SEQ-002 .*:3 column "split": got "test" in sequence "a"'):
        ingest_table(table, split_column="split")


def test_too_many_labels_are_no_classes(ingest_table):
    rows = "".join(f"s{number},0,1,2,l{number}\n" for number in range(1001))

    with pytest.raises(InputError, match=r'E-DATA-014 has more than 1000 labels, such as "l0", "l1", "l10"\.'):
        ingest_table(HEADER + rows)


def test_sequences_need_a_name(project: Path):
    with pytest.raises(ValidationError, match="no column identifies the sequences; name one in id_columns"):
        SequenceSource(path="x.csv")
    assert SequenceSource(path="x.csv", one_series_per_file=True).id_columns == ()


def test_one_file_per_sequence_is_read(project: Path, ingest_table):
    for name, label in (("one", "up"), ("two", "down")):
        (project / f"{name}.csv").write_text(f"time,x,y,label\n0,1,2,{label}\n")

    rows = read_rows(ingest_table(TABLE, path=str(project / "*o*.csv"), id_column=None, one_series_per_file=True))

    assert [(row["series"], row["label"]) for row in rows] == [("one.csv", "up"), ("two.csv", "down")]


def test_the_built_in_data_set_names_its_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(InputError) as caught:
        find_inputs(SequenceSource(dataset="japanese-vowels"))

    assert str(caught.value) == (
        "E-SRC-001 the package sktime is not installed.\nFix: run `pip install --no-deps sktime==1.2.0`."
    )


def test_a_label_in_several_forms_is_one_within_a_sequence_too(ingest_table):
    table = f"{HEADER}a,0,1,2,caf\u00e9\na,1,1,4,cafe\u0301\nb,0,5,6,Up\nb,1,5,6,up\nb,2,5,6,up\n"

    artefact = ingest_table(table, similar_labels="merge")

    assert artefact.summary["labels"] == {"caf\u00e9": 1, "up": 1}
    assert artefact.summary["warnings"] == [
        "labels of 1 row were brought to one Unicode form, without invisible characters: "
        '"cafe\\u0301" to "caf\u00e9" (1 row)',
        'labels of 1 row took the most frequent spelling: "Up" to "up" (1 row)',
    ]
    with pytest.raises(InputError, match=r'E-DATA-030 .*sequences.csv:4 column "label": got "Up" \(1 row\)'):
        ingest_table(table)


@pytest.mark.parametrize(
    ("rows", "left_out"),
    [
        ("a,0,1,1,up\na,1,x,1,up\na,2,1,1,up\n", ["a"]),  # amid a sequence
        ("a,0,1,1,up\na,1,1,1,up\na,2,x,1,up\n", ["a"]),  # at its end
        ("a,0,x,1,up\n", ["a"]),  # all of it
        ("a,0,1,1,up\na,1,1,1\na,2,1,1,up\n", ["a"]),  # a line that cannot be taken apart
        ("a,0,1,1,up\na,1\n\nb,0,1,1,up\nb,1,1,1,up\n", ["a", "b"]),  # between two, after which a blank line
        ("a,0,1,1,up\nb,0,1,1,up\na,1,x,1,up\nb,1,1,1,up\na,2,1,1,up\n", ["a"]),  # interleaved
        ("a,0,1,1,up\nb,0,1,1,up\na,1\nb,1,1,1,up\na,2,1,1,up\n", ["a", "b"]),
        ("a,0,1,1,up\n,1,1,1,up\na,2,1,1,up\n", ["a"]),  # without a name
        ("a,0,1,1,up\na,1,1,1,\na,2,1,1,up\n", ["a"]),  # without a label
    ],
)
def test_a_sequence_that_lost_a_row_is_left_out_whole(ingest_table, rows: str, left_out: list[str]):
    others = "c,0,1,1,up\nd,0,1,2,down\nd,1,1,2,down\n"

    artefact = ingest_table(HEADER + "e,0,1,2,down\n" + rows + others, on_bad_rows="skip", unsorted="sort")

    whole = {row.partition(",")[0] for row in rows.split()} - {"", *left_out}
    assert {row["series"] for row in read_rows(artefact)} == {"c", "d", "e", *whole}
    assert artefact.summary["incomplete"] == left_out
    named = ", ".join(f'"{name}"' for name in left_out)
    count = f"{len(left_out)} sequence{'s' if len(left_out) > 1 else ''}"
    assert f"left out {count} with a row that could not be read: {named}" in artefact.summary["warnings"]


def test_where_every_sequence_lost_a_row_the_first_one_is_named(ingest_table):
    with pytest.raises(InputError) as caught:
        ingest_table(HEADER + "a,0,1,1,up\na,1,x,1,up\nb,0,1,1,down\nb,1,1,1,\n", on_bad_rows="skip")

    assert str(caught.value).partition("sequences.csv")[2] == (
        ':3: sequence "a" lacks, or may lack, a row that could not be read.\n'
        "Fix: correct the row; without it the sequence would be incomplete."
    )
