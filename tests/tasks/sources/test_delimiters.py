"""Which character separates the fields of a table: found where there is one reading, refused where there are two."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.sources.delimiters import find_delimiter
from tasks.sources.inputs import InputFile
from tasks.sources.settings import FileSettings

DELIMITERS = (",", ";", "\t", "|")
TEXTS = st.text(st.sampled_from('ab1 ,;|\t".-'), max_size=12)
ROWS = st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=8)
SUFFIXES = st.sampled_from(["csv", "tsv"])


class Table(FileSettings):
    """A table of which some columns are wanted."""

    wanted: tuple[str, ...] = ("text", "label")

    def named_columns(self) -> dict[str, str]:
        return {f"value {name}": name for name in self.wanted}


def find(text: str, suffix: str = "csv", **settings) -> str:
    file = InputFile(Path(f"rows.{suffix}"), f"rows.{suffix}", suffix)
    return find_delimiter(text.encode(), "utf-8", file, Table(path="rows.csv", **settings))


def error_of(text: str, suffix: str = "csv", **settings) -> str:
    with pytest.raises(InputError) as caught:
        find(text, suffix, **settings)
    return str(caught.value)


def written(rows: list[list[str]], delimiter: str) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    return buffer.getvalue()


@given(ROWS, st.sampled_from(DELIMITERS), SUFFIXES)
def test_a_header_with_the_wanted_columns_tells_the_delimiter_whatever_the_texts_hold(rows, delimiter, suffix):
    text = written([["id", "text", "label"], *map(list, rows)], delimiter)

    assert find(text, suffix) == delimiter


@given(ROWS, SUFFIXES, st.permutations(["text;x", "text", "l|abel", "a,b"]))
def test_a_table_that_its_suffix_reads_is_never_read_otherwise(rows, suffix, names):
    usual = {"csv": ",", "tsv": "\t"}[suffix]
    text = written([[*names, "label"], *([*row, "x", "y"] for row in rows)], usual)

    assert find(text, suffix) == usual


@pytest.mark.parametrize("header", ["text", '"text"', "text\nhello; you\nhello, you", "text\na;b\nc;d", "text\n1|2|3"])
def test_a_header_of_one_field_is_one_column_whatever_the_lines_hold(header: str):
    assert find(header, wanted=("text",)) == ","
    assert find(header, "tsv", wanted=("text",)) == "\t"


def test_columns_that_are_missing_are_looked_for_in_the_likeliest_reading():
    assert find("id;body;kind\n1;hello, you;a\n") == ";"
    assert find("id;label\n1,5;a\n") == ";"
    assert find("report of May, June\nid|text|x\n") == ","
    assert find("export\nid|text|label\n") == "|"


def test_a_header_that_names_the_columns_in_two_ways_is_refused_with_both():
    assert error_of("text,x;text\n1,2;3\n", wanted=("text",)) == (
        'E-CSV-011 rows.csv: can be separated in 2 ways: by ",": "text", "x;text", or by ";": "text,x", "text".\n'
        'Fix: set delimiter = "," or delimiter = ";".'
    )
    assert find("text,x;text\n1,2\n", wanted=("text",)) == ","
    assert find("text,x;text\n1;2\n", wanted=("text",)) == ";"


@given(ROWS, st.sampled_from(DELIMITERS), SUFFIXES)
def test_a_table_without_a_header_is_cut_into_its_columns_or_refused(rows, delimiter, suffix):
    assume(rows and all(any(row) for row in rows))
    text = written([list(row) for row in rows], delimiter)

    try:
        found = [find(text, suffix, columns=("id", "text", "label"))]
    except InputError as error:
        found = [one for one in DELIMITERS if f'by "{one}"'.replace("\t", "\\t") in error.problem]

    assert delimiter in found


def test_rows_that_are_cut_in_two_ways_are_refused_with_both():
    assert error_of("Berlin;1,5\nParis;2,5\n", columns=("text", "label")) == (
        'E-CSV-011 rows.csv: can be separated in 2 ways: by ",": "Berlin;1", "5", or by ";": "Berlin", "1,5".\n'
        'Fix: set delimiter = "," or delimiter = ";".'
    )
    assert find("Berlin;1,5\nParis;2\n", columns=("text", "label")) == ";"
    assert find("Berlin;1,5\nParis;2,5\n", columns=("text", "label"), delimiter=";") == ";"


def test_comments_have_no_say():
    assert find("# a,b;c\n# d\ntext;label\n1;2\n", comment="#") == ";"
