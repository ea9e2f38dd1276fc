"""Tables without a header line, with comments, with texts that stand for nothing."""

import re
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from tasks.kinds.classify.source import SourceSettings
from tasks.sources.inputs import find_inputs
from tasks.sources.other_columns import read_all_cells
from tests.tasks.sources.reading import error_of, read

NAMED = {"columns": ["label", "title", "text"]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


def test_columns_name_the_fields_of_every_line(path: Path):
    path.write_text('"3","Stocks, up","It rose"\n"4","A; b","It fell"\n')

    rows, _ = read(path, **NAMED)

    assert rows.select("label", "text").rows() == [("3", "It rose"), ("4", "It fell")]
    source = SourceSettings(path=str(path), **NAMED)
    cells = read_all_cells(find_inputs(source).files[0], source, [2])
    assert cells.to_dicts() == [{"line": 2, "cell label": "4", "cell title": "A; b", "cell text": "It fell"}]


def test_a_header_where_none_should_be_is_told(path: Path):
    path.write_text("label,title,text\na,b,c\n")

    assert error_of(path, **NAMED) == (
        f"E-CSV-012 {path}:1: holds the names that `columns` lists, so the file has a header line.\n"
        "Fix: set columns = []."
    )
    assert read(path, columns=[])[0].height == 1


def test_a_line_of_another_width_is_shown(path: Path):
    path.write_text("a,b\nc,d\n")

    assert error_of(path, **NAMED) == (
        f'E-CSV-002 {path}:1: got 2 fields, expected 3: "a", "b".\n'
        "Fix: quote fields that hold the delimiter or a line end, or fill in the missing ones. If all lines are like "
        "it, correct columns or delimiter."
    )


def test_a_row_that_is_taken_for_a_header_is_told_how_to_name_its_columns(path: Path):
    path.write_text("3,Stocks rise,today\n4,Stocks fall,again\n")

    error = error_of(path)

    assert error == (
        f'E-SRC-005 {path}:1 column "text": is missing, found "3", "Stocks rise", "today". '
        'The first row reads "4", "Stocks fall", "again".\n'
        "Fix: name the column in the recipe or in the file; if the first line is a row like the others, list all "
        "names: columns = [...]."
    )


def test_a_wanted_column_must_be_among_the_names(path: Path):
    path.write_text("a,b\n")

    assert error_of(path, columns=["text", "class"]) == (
        f'E-SRC-005 {path} column "label": is missing, found "text", "class". The first row reads "a", "b".\n'
        "Fix: name the column in the recipe or in the file."
    )
    with pytest.raises(ValidationError, match="text is named twice"):
        SourceSettings(path="x.csv", columns=["text", "text"])


def test_a_file_without_rows_has_none(path: Path):
    path.write_text("\n\n")

    assert error_of(path, **NAMED) == f"E-SRC-004 {path}: has no rows.\nFix: remove the file, or fill it."


def test_comments_are_skipped_between_records_and_counted_and_lines_keep_their_numbers(path: Path):
    path.write_text('# made by hand\ntext,label\n#1,a\n"one\n# two",a\n# end\nthree\n')

    assert error_of(path, comment="#").startswith(f"E-CSV-002 {path}:7: got 1 fields")
    rows, intake = read(path, comment="#", on_bad_rows="skip")
    assert rows["text"].to_list() == ["one\n# two"]
    assert (intake.comment_lines, intake.blank_lines) == (3, 0)


def test_comments_of_json_lines_are_skipped(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text('// a\n{"text": "// b", "label": "a"}\n')

    rows, intake = read(path, comment="//")

    assert (rows["text"].to_list(), intake.comment_lines) == (["// b"], 1)


def test_missing_values_are_no_texts_and_no_labels(path: Path):
    path.write_text("text,label,part\none,?,unsup\ntwo, ? ,unsup\n?,a,train\n")
    settings = {"missing_values": ["?"], "split_column": "part"}

    assert error_of(path, **settings).startswith(f'E-DATA-020 {path}:4 column "text": got null')
    rows, _ = read(path, **settings, on_bad_rows="skip")
    assert rows.select("text", "label").rows() == [("one", None), ("two", None)]
    path.write_text("text,label\none,?\n")
    assert error_of(path, missing_values=["?"]).startswith(f'E-DATA-021 {path}:2 column "label": got nothing')
    with pytest.raises(ValidationError, match='"NA" is listed in labels and in missing_values'):
        SourceSettings(path="x.csv", missing_values=["NA"], labels={"NA": "none"})


def test_a_missing_column_shows_the_first_row_and_no_column_that_has_its_own_role(path: Path):
    path.write_text("label,body,labels\na,b,c\n")

    assert error_of(path, text_column="labl") == (
        f'E-SRC-005 {path}:1 column "labl": is missing, found "label", "body", "labels". '
        'The first row reads "a", "b", "c".\n'
        'Fix: name the column in the recipe or in the file; did you mean "labels"?'
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_wide_encodings_are_read_and_no_other_file_passes_for_one(tmp_path: Path, encoding: str, suffix: str):
    path = tmp_path / f"rows.{suffix}"
    texts = ["größer", "温度 \U0001f600"] * 9_000
    table = pl.DataFrame({"text": texts, "label": ["a", "b"] * 9_000})
    text = table.write_csv() if suffix == "csv" else table.write_ndjson()
    path.write_bytes(text.encode(encoding))

    assert read(path, encoding=encoding)[0]["text"].to_list() == texts
    path.write_bytes(path.read_bytes()[:-1])
    assert re.match(r"E-ENC-001 \S+: got bytes [0a ]+ after about \d+ bytes", error_of(path, encoding=encoding))
    path.write_bytes("text,label\ngrößer,a\n".encode())
    assert error_of(path, encoding=encoding) == (
        f"E-ENC-002 {path}: is text in another encoding, or without a byte order mark, expected {encoding}.\n"
        'Fix: set encoding = "utf-8".'
    )


@pytest.mark.parametrize(
    ("start", "what"),
    [(b"PK\x03\x04", "a zip archive"), (b"\x1f\x8b\x08", "a file compressed by gzip"), (b"PAR1", "Parquet")],
)
def test_what_is_no_text_is_named(path: Path, start: bytes, what: str):
    path.write_bytes(start + b"\0\xff\n" * 50)

    assert error_of(path).startswith(f"E-SRC-012 {path}: begins as {what}")


@pytest.mark.parametrize("first", ["sep=;\n", "\ufeffsep=;\r\n"])
def test_a_first_line_that_states_the_delimiter_is_obeyed_unless_the_recipe_states_another(path: Path, first: str):
    path.write_text(f"{first}text;label\na,b;x\nc,d;y\ne;f;g\n")
    rows, intake = read(path, on_bad_rows="skip")

    assert rows["text"].to_list() == ["a,b", "c,d"]
    assert intake.examples[0].startswith(f"E-CSV-002 {path}:5: got 3 fields")
    assert "E-CSV-010" in error_of(path, delimiter=",")
