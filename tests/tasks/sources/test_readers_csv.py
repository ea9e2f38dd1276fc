"""CSV and TSV: what is read, and the exact place of every fault."""

import random

import polars as pl
import pytest
from pydantic import ValidationError

from tasks.kinds.classify.source import SourceSettings
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake
from tasks.sources.reading_csv import read_csv
from tasks.sources.settings import FileSettings
from tests.tasks.sources.reading import error_of, read

FIX_COLUMN = "name the column in the recipe or in the file"


def table(num_rows: int) -> list[str]:
    return ["text,label\n", *(f'"text {i}, ""said"" one",{"ab"[i % 2]}\n' for i in range(num_rows))]


def test_quotes_delimiters_and_line_ends_inside_fields_are_part_of_the_text(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b'id,text,label\r\n1,"one, ""two""\r\nthree",pos\r\n2,four,neg')

    rows, _ = read(path)

    assert rows.to_dicts() == [
        {"text": 'one, "two"\r\nthree', "label": "pos", "source": "rows.csv", "split": None},
        {"text": "four", "label": "neg", "source": "rows.csv", "split": None},
    ]


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\xef\xbb\xbftext,label\nhello,a\n")

    assert read(path)[0]["text"].to_list() == ["hello"]


def test_tsv_may_be_read_without_quoting(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text('text\tlabel\n"Great" movie, really\ta\n"open\tb\n')

    assert read(path, quoted=False)[0]["text"].to_list() == ['"Great" movie, really', '"open']


def test_blank_lines_are_skipped_and_counted(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n\nhello,a\n\nworld,b\n\n")

    rows, intake = read(path)

    assert rows.height == 2
    assert intake.blank_lines == 3


def test_a_field_may_be_far_longer_than_the_default_limit_of_the_parser(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(f"text,label\n{'x' * 500_000},a\n")

    assert read(path)[0]["text"].str.len_bytes().to_list() == [500_000]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16-le", "UTF-16-LE"),
        ("utf-16-be", "UTF-16-BE"),
        ("utf-32-le", "UTF-32-LE"),
        ("utf-32-be", "UTF-32-BE"),
    ],
)
def test_utf_16_and_utf_32_are_named_with_or_without_mark(tmp_path, encoding, name, mark):
    path = tmp_path / "rows.csv"
    path.write_text(mark + "text,label\nhello,a\n", encoding=encoding)
    found = name[:6] if mark else name

    assert error_of(path) == (
        f"E-ENC-002 {path}: is {found}, expected utf-8.\n"
        f'Fix: set encoding = "{found.lower()}", or convert it: iconv -f {found} -t UTF-8 OLD > NEW'
    )
    assert read(path, encoding=found.lower())[0].select("text", "label").rows() == [("hello", "a")]


def test_invalid_bytes_are_reported_with_line_offset_and_hexadecimal(tmp_path):
    rng = random.Random(1)
    path = tmp_path / "rows.csv"
    lines = [line.encode() for line in table(60)]
    for _ in range(100):
        line = rng.randrange(1, len(lines))
        column = rng.randrange(len(lines[line]) - 1)
        broken = [*lines]
        broken[line] = lines[line][:column] + b"\xff" + lines[line][column:]
        path.write_bytes(b"".join(broken))
        offset = sum(map(len, lines[:line])) + column

        problem, fix = error_of(path).split("\n")
        assert problem == (
            f"E-ENC-001 {path}:{line + 1}: got bytes ff at offset {offset}, expected utf-8 (invalid start byte)."
        )
        assert fix.endswith("then check a few rows; or clean the file.")


def test_another_encoding_can_be_set(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("text,label\ncafé,a\n".encode("latin-1"))

    assert read(path, encoding="latin-1")[0]["text"].to_list() == ["café"]


def test_lines_that_end_with_carriage_returns_alone_are_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text,label\rhello,a\r")

    assert error_of(path) == (
        f"E-ENC-003 {path}: ends its lines with carriage returns alone, expected line feeds.\n"
        "Fix: convert it: tr '\\r' '\\n' < OLD > NEW"
    )


def test_mixed_line_ends_are_read_and_a_lone_carriage_return_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text,label\r\nhello,a\nworld,b\r\n")
    assert read(path)[0].height == 2

    path.write_bytes(b"text,label\r\nhello,a\nworld,b\rnext,a\n")
    assert error_of(path).startswith(f"E-CSV-004 {path}:3: is not CSV (")


@pytest.mark.parametrize(("fields", "count"), [("only", 1), ("one,two,three", 3)])
def test_short_and_long_rows_are_refused_wherever_they_stand(tmp_path, fields, count):
    rng = random.Random(2)
    path = tmp_path / "rows.csv"
    for _ in range(50):
        lines = table(60)
        line = rng.randrange(1, len(lines))
        lines[line] = f"{fields}\n"
        path.write_text("".join(lines))

        assert error_of(path) == (
            f"E-CSV-002 {path}:{line + 1}: got {count} fields, expected 2.\n"
            "Fix: quote fields that hold the delimiter or a line end, or fill in the missing ones."
        )


def test_the_line_of_a_row_is_the_physical_line_on_which_it_begins(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('text,label\n"two\nlines",a\n\n"three\n\nlines"\n')

    assert error_of(path).startswith(f"E-CSV-002 {path}:5: got 1 fields, expected 2.\n")


def test_an_unclosed_quote_is_reported_on_the_line_where_it_opens(tmp_path):
    rng = random.Random(3)
    path = tmp_path / "rows.csv"
    for _ in range(30):
        lines = ["text,label\n", *(f'"text {i}","{"ab"[i % 2]}"\n' for i in range(20)), *["plain,a\n"] * 20]
        line = rng.randrange(20, len(lines))
        lines[line] = '"first,\nfield","second\n'
        path.write_text("".join(lines))

        assert error_of(path) == (
            f'E-CSV-003 {path}:{line + 2}: opens a quote (") that is never closed.\n'
            "Fix: close it, double quotes inside a field, or set quoted = false."
        )


def test_text_after_a_closing_quote_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('text,label\n"hello" world,a\n')

    assert error_of(path).splitlines() == [
        f"E-CSV-004 {path}:2: is not CSV (\"',' expected after '\"'\").",
        'Fix: double quotes inside a quoted field (""), end lines with \\n or \\r\\n, or set quoted = false.',
    ]


def test_a_missing_column_is_named_with_those_found_and_the_closest(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("Texts ,label\nhello,a\n")

    assert error_of(path) == (
        f'E-SRC-005 {path}:1 column "text": is missing, found "Texts ", "label". The first row reads "hello", "a".\n'
        f'Fix: {FIX_COLUMN}; did you mean "Texts "?'
    )


def test_a_repeated_column_is_refused_only_if_it_is_wanted(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(",,text,label\n1,2,hello,a\n")
    assert read(path)[0].height == 1

    path.write_text("text,text,label\nhello,world,a\n")
    assert error_of(path) == (
        f'E-SRC-010 {path}:1 column "text": occurs 2 times, expected once.\nFix: rename or remove the others.'
    )


@pytest.mark.parametrize(
    ("content", "problem"), [("", "is empty."), ("text,label\n", "has a header and no rows."), ("\n\n", None)]
)
def test_files_without_rows_are_refused(tmp_path, content, problem):
    path = tmp_path / "rows.csv"
    path.write_text(content)

    if problem:
        assert error_of(path) == f"E-SRC-004 {path}: {problem}\nFix: remove the file, or fill it."
    else:
        assert error_of(path) == f'E-SRC-005 {path} column "text": is missing, found no column.\nFix: {FIX_COLUMN}.'


def test_a_line_or_field_beyond_the_document_cap_is_refused_with_its_line(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(f"text,label\nshort,a\n{'x' * 2000},b\nshort,a\n")
    assert error_of(path, max_document_bytes=1000) == (
        f"E-DATA-008 {path}:3: is longer than 1000 bytes.\nFix: cut the document, or raise max_document_bytes."
    )

    path.write_text("text,label\nshort,a\n" + '"open\n' + "short,b\n" * 500)
    assert error_of(path, max_document_bytes=1000) == (
        f"E-DATA-008 {path}:3: begins a record with a field beyond max_document_bytes, "
        "perhaps because a quote is never closed.\n"
        "Fix: close the quote, cut the field, or raise max_document_bytes."
    )


def test_skipping_leaves_out_bad_rows_only_and_counts_them(tmp_path):
    path = tmp_path / "rows.csv"
    bad = [b"short\n", b"caf\xe9,a\n", b'"x" y,a\n', b"x" * 3000 + b",a\n", b"text, a\n", b"nul\0,b\n"]
    path.write_bytes(b"text,label\n" + b"".join(b"good %d,a\n" % i + line for i, line in enumerate(bad)))

    rows, intake = read(path, on_bad_rows="skip", max_document_bytes=1000)

    assert rows["text"].to_list() == [f"good {i}" for i in range(len(bad))]
    assert intake.skipped == len(bad)
    assert [example.split()[:2] for example in intake.examples] == [
        ["E-CSV-002", f"{path}:3:"],
        ["E-ENC-001", f"{path}:5:"],
        ["E-CSV-004", f"{path}:7:"],
        ["E-DATA-008", f"{path}:9:"],
        ["E-DATA-013", f"{path}:11"],
    ]


def test_of_several_faults_the_earliest_is_reported(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nhello,a\nworld,2.5\nshort\n")

    assert error_of(path).startswith(f'E-DATA-013 {path}:3 column "label": ')


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_another_delimiter_than_the_suffix_says_is_found_and_one_that_is_stated_is_checked(tmp_path, delimiter):
    path, shown = tmp_path / "rows.csv", delimiter.replace("\t", "\\t")
    path.write_text(f'\n"text"{delimiter}"label"\nhello, you{delimiter}a\n{delimiter}\n')

    assert read(path)[0]["text"].to_list() == ["hello, you"]
    assert error_of(path, delimiter=",") == (
        f'E-CSV-010 {path}:2: separates its fields by "{shown}", expected ",": found "text", "label".\n'
        f'Fix: set delimiter = "{shown}".'
    )
    rows, intake = read(path, delimiter=delimiter)
    assert rows["text"].to_list() == ["hello, you"]
    assert intake.blank_lines == 2


def test_a_file_that_the_delimiter_cuts_rightly_is_not_suspected(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label,a;b;c;d\nhello;x,a,1\n")

    assert read(path)[0]["text"].to_list() == ["hello;x"]
    assert error_of(path, label_column="class").startswith(f'E-SRC-005 {path}:1 column "class": is missing')


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n"])
def test_what_cannot_part_fields_is_refused(delimiter):
    with pytest.raises(ValidationError, match="delimiter"):
        SourceSettings(path="x.csv", delimiter=delimiter)


def test_a_header_in_the_middle_is_what_joined_files_have_and_no_row(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\none,a\ntext,label\ntwo,b\n")

    assert error_of(path).startswith(f"E-DATA-050 {path}:3: repeats the header")
    rows, intake = read(path, on_bad_rows="skip")
    assert rows["label"].to_list() == ["a", "b"]
    assert intake.skipped == 1


class Texts(FileSettings):
    """A table of texts alone."""

    def named_columns(self) -> dict[str, str]:
        return {"text": "text"}


def test_in_a_table_of_one_column_a_text_may_read_like_the_header(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text\none\ntext\n")
    source = Texts(path=str(path))

    rows = pl.concat(read_csv(find_inputs(source).files[0], Intake(source)))

    assert rows["text"].to_list() == ["one", "text"]
