import gzip
import io
import tarfile
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from tasks.errors import InputError
from tasks.kinds.language.source import LanguageSource
from tasks.sources.inputs import SHAKESPEARE_SHA256, find_inputs, is_downloaded
from tasks.store.artefacts import Artefact
from tests.tasks.kinds.language.preparing import ingested


def rows_of(rows: Artefact) -> list[tuple]:
    return pl.read_parquet(rows.file("rows.parquet")).select("row", "text", "source", "split").rows()


def test_a_text_file_is_one_document_with_line_feeds(project: Path, tmp_path: Path):
    (tmp_path / "book.txt").write_bytes(b"Call me\r\n\r\nIshmael.\n")

    rows = ingested(tmp_path / "book.txt")

    assert rows_of(rows) == [(0, "Call me\n\nIshmael.\n", "book.txt", None)]
    assert rows.summary["num_chars"] == 18


def test_each_line_may_be_a_document_and_blank_ones_are_counted(project: Path, tmp_path: Path):
    (tmp_path / "jokes.txt.gz").write_bytes(gzip.compress(b"one\n\n two \r\n \nthree"))

    rows = ingested(tmp_path / "jokes.txt.gz", documents="line")

    assert [text for _, text, _, _ in rows_of(rows)] == ["one", " two ", "three"]
    assert rows.summary["warnings"] == ["2 blank lines left out"]


def test_a_bad_line_is_named(project: Path, tmp_path: Path):
    (tmp_path / "lines.txt").write_bytes(b"good\nb\xff\xfed\ngood\n")

    with pytest.raises(InputError, match=r"E-ENC-001 .*lines.txt:2"):
        ingested(tmp_path / "lines.txt", documents="line")
    assert ingested(tmp_path / "lines.txt", documents="line", on_bad_rows="skip").rows == 2


def test_folders_named_after_splits_hold_their_documents_and_others_mean_nothing(project: Path, tmp_path: Path):
    for name in ("train/a/one.txt", "train/unsup/two.txt", "test/a/b/three.txt", "four.txt"):
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).write_text(f"text of {name}")

    splits = {source: split for _, _, source, split in rows_of(ingested(tmp_path / "corpus"))}

    assert splits == {
        "four.txt": None,
        "test/a/b/three.txt": "test",
        "train/a/one.txt": "train",
        "train/unsup/two.txt": "unlabelled",
    }


@pytest.mark.parametrize(("documents", "texts"), [("file", ["a\nb\n", "c\n"]), ("line", ["a", "b", "c"])])
def test_archives_of_texts(project: Path, tmp_path: Path, documents: str, texts: list[str]):
    with tarfile.open(tmp_path / "texts.tar.gz", "w:gz") as archive:
        for name, data in (("x/1.txt", b"a\nb\n"), ("x/2.txt", b"c\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))

    rows = ingested(tmp_path / "texts.tar.gz", documents=documents)

    assert [text for _, text, _, _ in rows_of(rows)] == texts


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_tables_of_several_text_columns_with_an_official_split(project: Path, tmp_path: Path, form: str):
    table = pl.DataFrame({"title": ["A", "B", None], "body": ["x y", "", "z"], "part": ["train", "dev", "test"]})
    path = tmp_path / f"rows.{form}"
    write = {"jsonl": table.write_ndjson, "parquet": table.write_parquet}
    write[form](path) if form in write else table.write_csv(path, separator="\t" if form == "tsv" else ",")

    rows = ingested(path, text_columns=["title", "body"], split_column="part", text_separator="|")

    assert [(text, split) for _, text, _, split in rows_of(rows)] == [("A|x y", "train"), ("B", "valid"), ("z", "test")]
    assert rows.summary["splits"] == {"test": 1, "train": 1, "valid": 1}


def write_ptb(folder: Path) -> Path:
    folder.mkdir()
    for name in ("train", "valid", "test"):
        (folder / f"ptb.{name}.txt").write_text(f" the <unk> of {name} \n a second one \n")
    return folder


PATTERNS = {"train": "*train*", "valid": "*valid*", "test": "*test*"}


def test_files_may_name_the_official_split(project: Path, tmp_path: Path):
    rows = ingested(write_ptb(tmp_path / "ptb"), split_files=PATTERNS)

    assert {source: split for _, _, source, split in rows_of(rows)} == {
        "ptb.test.txt": "test",
        "ptb.train.txt": "train",
        "ptb.valid.txt": "valid",
    }


def test_a_file_that_is_in_no_split_is_refused(project: Path, tmp_path: Path):
    folder = write_ptb(tmp_path / "ptb")
    (folder / "readme.txt").write_text("about")

    with pytest.raises(InputError, match=r"E-SRC-013 .*readme.txt: is a file that no pattern of split_files matches"):
        ingested(folder, split_files=PATTERNS)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"split_files": {"dev": "*"}}, "split_files.dev is not a split"),
        ({"split_files": {"train": "*"}, "split_column": "part"}, "remove one of the two"),
        ({"text_columns": ["a"], "split_column": "a"}, "must differ"),
    ],
)
def test_settings_that_contradict_one_another(settings: dict, said: str):
    with pytest.raises(ValidationError, match=said):
        LanguageSource(path="rows.csv", **settings)


def test_a_document_over_the_cap_is_refused(project: Path, tmp_path: Path):
    (tmp_path / "long.txt").write_text("x" * 1001)

    with pytest.raises(InputError, match=r"E-DATA-008 .*1000 bytes"):
        ingested(tmp_path / "long.txt", max_document_bytes=1000)


def test_texts_of_nothing_but_white_space_leave_no_row(project: Path, tmp_path: Path):
    (tmp_path / "blank.txt").write_text(" \n\t\n")

    with pytest.raises(InputError, match="E-DATA-001"):
        ingested(tmp_path / "blank.txt")


def test_shakespeare_is_a_pinned_download_that_a_local_copy_replaces(tmp_path: Path):
    assert is_downloaded(LanguageSource(dataset="shakespeare"))
    assert len(SHAKESPEARE_SHA256) == 64

    (tmp_path / "copy.txt").write_text("First Citizen:")
    local = LanguageSource(dataset="shakespeare", path=str(tmp_path / "copy.txt"))

    assert [file.kind for file in find_inputs(local).files] == ["document"]
    assert not is_downloaded(local)
