"""An error about the form of a line shows that line, without acting on a terminal."""

import gzip
import io
import os
import zipfile
from pathlib import Path

import pytest
import zstandard

from flows.commands.failures import describe_failure
from tasks.errors import InputError
from tasks.kinds.classify.ingest import check_rows
from tasks.kinds.classify.source import SourceSettings
from tasks.sources.first_rows import read_first_rows


def refusal_of(path: Path, content: bytes, **settings) -> InputError:
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_first_rows(SourceSettings(path=str(path), **settings), check_rows)
    return caught.value


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("a.csv", b"text,label\nword,a\none,two,three\n", 'Line 3 reads: "one,two,three"'),
        ("a.csv", b'text,label\n"never closed,a\n', 'Line 2 reads: ""never closed,a"'),
        ("a.csv", b'text,label\n"early" end,a\n', 'Line 2 reads: ""early" end,a"'),
        ("a.csv", b"text,label\ncaf\xe9,a\n", 'Line 2 reads: "caf\\xe9,a"'),
        ("a.jsonl", b'{"text": "word", "label" "a"}\n', 'Line 1 reads: "{"text": "word", "label" "a"}"'),
        ("a.jsonl", b'{"text": "\x1b[2J", "label": 1\n', 'Line 1 reads: "{"text": "\\x1b[2J", "label": 1"'),
    ],
)
def test_the_line_is_shown_as_it_was_read(tmp_path, name, content, shown):
    assert describe_failure(refusal_of(tmp_path / name, content)).splitlines()[2] == shown


def test_a_long_line_is_shown_around_the_fault(tmp_path):
    content = b'{"text": "%b", "label" "here"}\n' % (b"a" * 500)
    shown = describe_failure(refusal_of(tmp_path / "a.jsonl", content)).splitlines()[2]

    assert '"label" "here"' in shown
    assert len(shown) < 110


ONLY = b"text,label\nonly\n"


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner.csv", content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "settings"),
    [
        ("a.csv.gz", gzip.compress(ONLY), {}),
        ("a.csv.zst", zstandard.compress(ONLY), {}),
        ("a.zip", zipped(ONLY), {}),
        ("a.csv", ONLY.decode().encode("utf-16"), {"encoding": "utf-16"}),
    ],
    ids=["gzip", "zstandard", "zip", "utf-16"],
)
def test_lines_are_shown_however_the_file_is_packed(tmp_path, name, content, settings):
    error = refusal_of(tmp_path / name, content, **settings)

    assert error.line == '"only"'
    assert error.fields()["line"] == '"only"'
    assert str(error).splitlines()[2] == 'Line 2 reads: "only"'


def test_of_several_documents_the_one_at_fault_is_shown(tmp_path):
    for name, content in {"a/1.txt": b"fine\nfirst", "a/2.txt": b"one\ncaf\xe9\n", "b/3.txt": b"x\ny"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_first_rows(SourceSettings(path=str(tmp_path)), check_rows)

    assert str(caught.value).splitlines()[2] == 'Line 2 reads: "caf\\xe9"'


def test_documents_within_archives_are_not_opened_again(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/1.txt", b"one\ncaf\xe9\n")

    assert refusal_of(tmp_path / "a.zip", packed.getvalue()).line is None


def test_a_named_pipe_is_refused_at_once(tmp_path):
    pipe = tmp_path / "a.csv"
    os.mkfifo(pipe)

    for path, settings in ((pipe, {}), (tmp_path, {"include": "*.csv"}), (f"{tmp_path}/*.csv", {})):
        with pytest.raises(InputError, match=r"E-SRC-002 .*a\.csv: cannot be read \(not a regular file\)"):
            read_first_rows(SourceSettings(path=str(path), **settings), check_rows)


def test_an_error_about_a_cell_shows_the_cell_alone(tmp_path):
    error = refusal_of(tmp_path / "a.csv", b"text,label\nword,1.5\n")

    assert error.line is None
    assert len(describe_failure(error).splitlines()) == 2
