"""The first rows of a source are read as a run reads them, and no more of it is."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from tasks.errors import InputError
from tasks.kinds.classify.ingest import check_rows
from tasks.kinds.classify.source import SourceSettings
from tasks.sources.first_rows import FIRST_ROWS, read_first_rows

HEADER = "text,label\n"


def first_rows(path: Path, content: str, **settings) -> pl.DataFrame:
    path.write_text(content)
    return read_first_rows(SourceSettings(path=str(path), **settings), check_rows)


def test_they_are_what_checks_make_of_them(tmp_path):
    rows = first_rows(tmp_path / "a.csv", f"{HEADER}one,1\ntwo,2\n", labels={"1": "bad", "2": "good"})

    assert rows["text"].to_list() == ["one", "two"]
    assert rows["label"].to_list() == ["bad", "good"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("txt,label\nword,a\n", "E-SRC-005"),
        (f"{HEADER}word,a\nword\n", "E-CSV-002"),
        (f"{HEADER}word,a\nword,1.5\n", "E-DATA-013"),
        (f"{HEADER}" + "word,a\n" * (FIRST_ROWS - 1) + "word\n", "E-CSV-002"),
        (HEADER, "E-SRC-004"),
    ],
)
def test_a_fault_among_them_is_told(tmp_path, content, code):
    with pytest.raises(InputError) as caught:
        first_rows(tmp_path / "a.csv", content)
    assert caught.value.code == code


def test_bad_rows_that_are_left_out_are_no_fault(tmp_path):
    rows = first_rows(tmp_path / "a.csv", f"{HEADER}word,a\nword\nword,b\n", on_bad_rows="skip")

    assert rows["label"].to_list() == ["a", "b"]


def test_what_lies_beyond_them_is_left_to_the_run(tmp_path):
    rows = first_rows(tmp_path / "a.csv", HEADER + "word,a\n" * 20_000 + "word\n")

    assert FIRST_ROWS <= rows.height < 20_000


def test_a_cut_off_file_is_found_by_the_run_and_a_damaged_beginning_at_once(tmp_path):
    packed = gzip.compress((HEADER + "".join(f"word{n},a\n" for n in range(200_000))).encode())
    (tmp_path / "a.csv.gz").write_bytes(packed[:-100])

    assert read_first_rows(SourceSettings(path=str(tmp_path / "a.csv.gz")), check_rows).height >= FIRST_ROWS


def test_all_files_must_exist_and_only_the_first_ones_are_opened(tmp_path):
    for number in range(300):
        (tmp_path / f"{number:03}.csv").write_text(f"{HEADER}word,a\nword,b\n")
    (tmp_path / "299.csv").write_text("no header")

    assert read_first_rows(SourceSettings(path=f"{tmp_path}/*.csv"), check_rows).height == 200
    with pytest.raises(InputError, match="E-SRC-001"):
        read_first_rows(SourceSettings(path=str(tmp_path / "absent.csv")), check_rows)
