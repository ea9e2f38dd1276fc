"""Folders of documents, globs, compressed files and the checks that all rows pass."""

import bz2
import gzip
import lzma
import tracemalloc
from pathlib import Path

import polars as pl
import pytest
import zstandard

from tasks.errors import InputError, IntegrityError, ResourceError, RnnflowError
from tasks.kinds.classify.ingest import check_rows
from tasks.kinds.classify.source import SourceSettings
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files

COMPRESS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard.compress}


def read(path: Path | str, **settings) -> tuple[pl.DataFrame, Intake]:
    source = SourceSettings(path=str(path), **settings)
    intake = Intake(source)
    return pl.concat(read_files(find_inputs(source).files, intake, check_rows)), intake


def error_of(path: Path | str, **settings) -> str:
    with pytest.raises(RnnflowError) as caught:
        read(path, **settings)
    return str(caught.value)


def plant(folder: Path, **documents: str | bytes) -> Path:
    for name, content in documents.items():
        path = folder / name.replace("__", "/").replace("_txt", ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_folders_give_label_and_official_split_in_the_order_of_names(tmp_path):
    plant(
        tmp_path / "c",
        train__pos__2_txt="two",
        train__pos__10_txt="ten",
        train__neg__1_txt="one\n",
        test__pos__1_txt="",
        val__neg__1_txt="v",
        train__unsup__1_txt="u",
    )

    assert read(tmp_path / "c")[0].rows() == [
        ("", "pos", "test/pos/1.txt", "test"),
        ("one\n", "neg", "train/neg/1.txt", "train"),
        ("ten", "pos", "train/pos/10.txt", "train"),
        ("two", "pos", "train/pos/2.txt", "train"),
        ("u", None, "train/unsup/1.txt", "unlabelled"),
        ("v", "neg", "val/neg/1.txt", "valid"),
    ]


def test_a_glob_of_documents_takes_the_label_from_the_folder(tmp_path):
    plant(tmp_path, pos__1_txt="one", neg__1_txt="two", other__1_txt="three")

    assert read(f"{tmp_path}/[pn]*/*.txt")[0].select("label", "source").rows() == [
        ("neg", "neg/1.txt"),
        ("pos", "pos/1.txt"),
    ]
    assert read(f"{tmp_path}/[pn]*")[0].equals(read(f"{tmp_path}/[pn]*/*.txt")[0])


@pytest.mark.parametrize("stray", ["stray_txt", "train__stray_txt", "train__pos__deeper__1_txt"])
def test_a_document_outside_the_class_folders_founds_no_class(tmp_path, stray):
    plant(tmp_path / "c", test__neg__1_txt="one", train__pos__1_txt="two", **{stray: "three"})
    place = tmp_path / "c" / stray.replace("__", "/").replace("_txt", ".txt")

    depths = {"stray_txt": tmp_path / "c" / "stray.txt"}
    assert error_of(tmp_path / "c") == (
        f"E-SRC-007 {depths.get(stray, place)}: is not in a class folder, or not at the depth of the documents "
        "before it.\n"
        'Fix: use folders [split/]class/document, or narrow include, for example to "*/*/*.txt".'
    )
    assert read(tmp_path / "c", include="t*/[np]*/*.txt")[0].height == 2


def test_a_bad_document_is_named_with_line_and_offset_and_can_be_skipped(tmp_path):
    plant(tmp_path / "c", pos__1_txt="good", pos__2_txt=b"\xef\xbb\xbfone\ntwo \xff", neg__1_txt="a".encode("utf-16"))
    path = tmp_path / "c" / "pos" / "2.txt"

    assert error_of(f"{path.parent}/*.txt", format="folder").splitlines()[0].startswith("E-SRC-007")
    assert error_of(tmp_path / "c", include="pos/*.txt") == (
        f"E-ENC-001 {path}:2: got bytes ff at offset 11, expected utf-8 (invalid start byte).\n"
        "Fix: set encoding to the one in which the file was written, then check a few rows; or clean the file.\n"
        'Line 2 reads: "two \\xff"'
    )
    rows, intake = read(tmp_path / "c", on_bad_rows="skip")
    assert rows["text"].to_list() == ["good"]
    assert [example.split()[0] for example in intake.examples] == ["E-ENC-002", "E-ENC-001"]


def test_hidden_files_and_forks_of_macos_are_counted_and_not_read(tmp_path):
    fork = b"\0\5\26\7\0\2\0\0Mac OS X"
    plant(tmp_path / "c", pos__1_txt="good", neg__1_txt="bad")
    for name in ("pos/._1.txt", "pos/.DS_Store", ".git/x/1.txt", "__MACOSX/pos/1.txt"):
        (tmp_path / "c" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "c" / name).write_bytes(fork)
    for name in ("a.csv", "._a.csv", ".a.csv.swp.csv"):
        (tmp_path / name).write_bytes(b"text,label\nhello,a\n" if name == "a.csv" else fork)

    assert read(tmp_path / "c")[0]["text"].to_list() == ["bad", "good"]
    assert read(f"{tmp_path}/c/**/*.txt", format="folder")[0].height == 2
    assert find_inputs(SourceSettings(path=f"{tmp_path}/*.csv")).files[0].name == "a.csv"
    assert len(find_inputs(SourceSettings(path=f"{tmp_path}/*.csv")).files) == 1
    hidden = {"pos/._1.txt", "pos/.DS_Store", ".git/x/1.txt", "__MACOSX/pos/1.txt"}
    assert set(find_inputs(SourceSettings(path=str(tmp_path / "c"))).ignored) == hidden


def test_a_document_beyond_the_cap_is_not_read_whole(tmp_path):
    plant(tmp_path / "c", pos__1_txt=b"x" * 50_000_000, neg__1_txt=b"fine")
    tracemalloc.start()
    rows, intake = read(tmp_path / "c", on_bad_rows="skip", max_document_bytes=1_000_000)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert rows["text"].to_list() == ["fine"]
    assert intake.examples == [f"E-DATA-008 {tmp_path}/c/pos/1.txt: is longer than 1000000 bytes."]
    assert peak_bytes < 10_000_000


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_tables_and_documents_are_read_and_damage_is_found(tmp_path, suffix):
    table = b"text,label\n" + b"".join(b"text %d,%d\n" % (i, i % 2) for i in range(2_000))
    path = tmp_path / f"rows.csv{suffix}"
    path.write_bytes(COMPRESS[suffix](table))
    plant(tmp_path / "c", pos__1_txt="unzipped")
    (tmp_path / "c" / "pos" / f"2.txt{suffix}").write_bytes(COMPRESS[suffix](b"zipped"))

    assert read(path)[0].height == 2_000
    assert read(tmp_path / "c")[0]["text"].to_list() == ["unzipped", "zipped"]

    whole = path.read_bytes()
    for length in range(1, len(whole), max(1, len(whole) // 20)):
        path.write_bytes(whole[:length])
        with pytest.raises(IntegrityError, match=r"^E-ARC-006 .*is damaged or cut off"):
            read(path)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_bomb_stops_at_the_ratio_in_little_memory(tmp_path, suffix):
    path = tmp_path / f"rows.csv{suffix}"
    rows = (b"same text " * 20 + b",a\n") * 6_000
    path.write_bytes(COMPRESS[suffix](b"text,label\n") + COMPRESS[suffix](rows) * 80)
    tracemalloc.start()
    text = error_of(path, max_ratio=2)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert text.startswith(f"E-ARC-004 {path}: grew ")
    assert text.endswith("expected at most 2-fold.\nFix: raise max_ratio if the file is meant to be that repetitive.")
    assert peak_bytes < 20_000_000  # of 96 MB


def test_the_byte_cap_counts_all_files_together(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("text,label\n" + "hello,a\n" * 1_000)

    assert read(tmp_path / "a.csv", max_bytes=10_000)[0].height == 1_000
    assert error_of(f"{tmp_path}/*.csv", max_bytes=10_000) == (
        f"E-SRC-009 {tmp_path}/b.csv: brings the source to more than 10000 decompressed bytes.\n"
        "Fix: raise max_bytes if the source is meant to be that large."
    )


def test_one_bad_file_of_ten_is_named_or_left_out_with_a_count(tmp_path):
    for number in range(10):
        (tmp_path / f"{number}.csv").write_text(f"text,label\nfile {number},a\n")
    (tmp_path / "4.csv").write_text("wrong,header\nx,y\n")

    assert error_of(f"{tmp_path}/*.csv").startswith(f'E-SRC-005 {tmp_path}/4.csv:1 column "text": is missing')
    rows, intake = read(f"{tmp_path}/*.csv", on_bad_rows="skip")
    assert rows["source"].to_list() == [f"{number}.csv" for number in range(10) if number != 4]
    assert intake.skipped == 1


def test_settings_of_columns_are_refused_for_documents(tmp_path):
    plant(tmp_path / "c", pos__1_txt="one")

    assert error_of(tmp_path / "c", where={"lang": "en"}) == (
        f"E-SRC-011 {tmp_path}/c/pos/1.txt: is a document without columns, but `where` or `split_column` names one.\n"
        "Fix: remove the setting."
    )


def test_a_cap_is_not_skipped(tmp_path):
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"text,label\n" + b"same text,a\n" * 200_000))

    with pytest.raises(ResourceError):
        read(path, on_bad_rows="skip")


LABEL_FAULTS = {
    "2.5": 'E-DATA-013 {place}: got "2.5", expected a name or an integer.',
    "1e999": 'E-DATA-013 {place}: got "1e999", expected a name or an integer.',
    "NaN": 'E-DATA-013 {place}: got "NaN", expected a name or an integer.',
    "-inf": 'E-DATA-013 {place}: got "-inf", expected a name or an integer.',
    '"1,5"': 'E-DATA-013 {place}: got "1,5", expected a name or an integer.',
    "１２": 'E-DATA-013 {place}: got "１２", expected digits 0 to 9.',  # noqa: RUF001
    "-100": 'E-DATA-013 {place}: got "-100", which training would ignore.',
    " pos ": 'E-DATA-013 {place}: got " pos ", expected no white space around it.',
    "": "E-DATA-021 {place}: got nothing, expected a label.",
    "x7": 'E-DATA-012 {place}: got "x7", expected one of pos, neg.',
    "p\0": "E-ENC-004 {place}: contains a NUL character.",
}


@pytest.mark.parametrize("label", LABEL_FAULTS)
def test_a_bad_label_is_reported_on_its_row(tmp_path, label):
    path = tmp_path / "rows.csv"
    for position in (0, 2_499, 4_999):
        labels = ["pos", "neg"] * 2_500
        labels[position] = label
        path.write_text("text,label\n" + "".join(f"text,{label}\n" for label in labels))
        place = f'{path}:{position + 2} column "label"'

        assert error_of(path, labels={"pos": "pos", "neg": "neg"}).splitlines()[0] == (
            LABEL_FAULTS[label].replace("{place}", place)
        )


@pytest.mark.parametrize("label", ["1", "-1", "01", "true", "None", "a b", "4.x", "１つ星"])
def test_names_and_integers_are_labels(tmp_path, label):
    path = tmp_path / "rows.csv"
    path.write_text(f"text,label\nhello,{label}\n")

    assert read(path)[0]["label"].to_list() == [label]


def test_an_official_split_is_read_under_its_many_names(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label,fold\none,a,train\ntwo,b,dev\nthree,a,test\nfour,2.5,unsupervised\n")

    assert read(path, split_column="fold")[0].select("label", "split").rows() == [
        ("a", "train"),
        ("b", "valid"),
        ("a", "test"),
        (None, "unlabelled"),
    ]


@pytest.mark.parametrize("split", ["holdout", ""])
def test_an_unknown_split_is_refused(tmp_path, split):
    path = tmp_path / "rows.csv"
    path.write_text(f"text,label,split\none,a,train\ntwo,b,{split}\n")

    assert error_of(path, split_column="split").splitlines()[0] == (
        f'E-DATA-022 {path}:3 column "split": got "{split}", expected one of train, valid, val, validation, dev, test, '
        "unlabelled, unlabeled, unsup, unsupervised."
    )


def test_labels_are_renamed_and_rows_filtered(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label,lang\none,0,en\nzwei,x,de\nthree,1,en\n")

    rows, intake = read(path, where={"lang": "en"}, labels={"0": "neg", "1": "pos"})

    assert rows["label"].to_list() == ["neg", "pos"]
    assert intake.filtered == {"lang": 1}


@pytest.mark.parametrize("name", ["missing.csv", "mi*ing.csv", "empty", "rows.xlsx", "rows.parquet.gz", "nu\0l.csv"])
def test_paths_that_name_nothing_readable_are_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    for existing in ("rows.xlsx", "rows.parquet.gz"):
        (tmp_path / existing).write_bytes(b"x")
    codes = {
        "missing.csv": "E-SRC-001",
        "nu\0l.csv": "E-SRC-001",
        "mi*ing.csv": "E-SRC-006",
        "empty": "E-SRC-006",
        "rows.xlsx": "E-SRC-003",
        "rows.parquet.gz": "E-SRC-003",
    }

    with pytest.raises(InputError) as caught:
        read(tmp_path / name)

    assert caught.value.code == codes[name]
    assert str(caught.value).count("\n") == 1
