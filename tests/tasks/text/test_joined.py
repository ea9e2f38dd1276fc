"""A text that stands in several columns is one, however its row is read."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.errors import InputError
from tasks.kinds.classify.ingest import check_rows
from tasks.kinds.classify.source import SourceSettings
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files
from tasks.text.joined import text_of, with_text

COLUMNS = ("title", "body", "note")
CELLS = st.none() | st.sampled_from(["", "?", " ? ", "a", "b c"])


def read(path: Path, **settings) -> list[str]:
    source = SourceSettings(path=str(path), **settings)
    return pl.concat(read_files(find_inputs(source).files, Intake(source), check_rows))["text"].to_list()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_columns_are_joined_in_the_order_of_the_recipe_and_empty_ones_are_left_out(tmp_path: Path, suffix: str):
    table = pl.DataFrame({"body": ["b", "", "b"], "label": ["x", "y", "x"], "title": ["t", "t", "?"]})
    path = tmp_path / f"rows.{suffix}"
    getattr(table, "write_ndjson" if suffix == "jsonl" else f"write_{suffix}")(path)

    assert read(path, text_columns=["title", "body"]) == ["t\nb", "t", "?\nb"]
    assert read(path, text_columns=["title", "body"], text_separator=" | ", missing_values=["?"]) == ["t | b", "t", "b"]


def test_a_row_of_which_all_parts_are_missing_has_no_text(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    rows = [{"title": "t", "body": "b", "label": "x"}, {"title": None, "label": "x"}]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    with pytest.raises(InputError) as caught:
        read(path, text_columns=["title", "body"])

    assert str(caught.value).splitlines()[0] == (
        f'E-DATA-020 {path}:2 column "title, body": got null, expected a text.'
    )


def test_one_name_and_the_earlier_spelling_stand_for_a_list_of_one():
    named = [
        {"text_columns": ["a"]},
        {"text_columns": "a"},
        {"text_column": "a"},
        {"text_column": "a", "text_columns": ["a"]},
    ]

    assert {SourceSettings(path="x.csv", **given).text_columns for given in named} == {("a",)}
    with pytest.raises(ValidationError, match="text_column is the earlier spelling of text_columns, and"):
        SourceSettings(path="x.csv", text_column="a", text_columns=["b"])
    with pytest.raises(ValidationError, match="must differ"):
        SourceSettings(path="x.csv", text_columns=["a", "label"])


@given(
    st.lists(
        st.fixed_dictionaries({name: st.none() | st.sampled_from(["", "?", " ? ", "a", "b c"]) for name in COLUMNS})
    )
)
def test_a_row_that_is_sent_has_the_text_of_a_row_that_is_read(rows: list[dict]):
    source = SourceSettings(path="x.csv", text_columns=COLUMNS, missing_values=["?"])
    raw = pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String))
    raw = raw.with_columns(pl.when(pl.all().str.strip_chars() != "?").then(pl.all()))

    read_text = with_text(raw.rename({name: f"text {name}" for name in COLUMNS}), source)["text"].to_list()

    assert read_text == [text_of(row, source) for row in rows]
