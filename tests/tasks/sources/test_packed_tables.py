"""Tables within archives: which are read, in which order, and what is refused."""

import io
import zipfile
from pathlib import Path

import polars as pl
import pytest

from tasks.errors import InputError, RnnflowError
from tasks.kinds.classify.classifier import Serving
from tasks.kinds.classify.ingest import check_rows
from tasks.kinds.classify.source import SourceSettings
from tasks.kinds.classify_series.source import SequenceSource
from tasks.labelled.labeller import LabellerServing
from tasks.panel.cells import RowParser
from tasks.panel.source import SeriesSource
from tasks.prediction.job import Columns
from tasks.sources.inputs import Inputs, find_inputs
from tasks.sources.intake import Intake
from tasks.sources.other_columns import read_all_cells
from tasks.sources.readers import read_files
from tasks.text.windows import open_input, read_windows
from tests.tasks.sources.test_archives import tar_of, zip_of
from tests.tasks.sources.test_served_source import serve_as

TABLE = pl.DataFrame({"id": [1, 2], "text": ["one", "two"], "label": ["a", "b"]})
FORKS = {"__MACOSX/._rows.csv": b"\0\5\26", "._rows.csv": b"\0", ".DS_Store": b"\0"}
PACKERS = {
    "a.zip": zip_of,
    "a.tar": tar_of,
    "a.tar.gz": lambda files: tar_of(files, mode="w:gz"),
    "a.tbz2": lambda files: tar_of(files, mode="w:bz2"),
    "a.tar.xz": lambda files: tar_of(files, mode="w:xz"),
}


def as_bytes(suffix: str, table: pl.DataFrame = TABLE) -> bytes:
    if suffix == "parquet":
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        return buffer.getvalue()
    text = table.write_ndjson() if suffix == "jsonl" else table.write_csv(separator="\t" if suffix == "tsv" else ",")
    return text.encode()


def read(path: Path, **settings) -> tuple[pl.DataFrame, Inputs]:
    source = SourceSettings(path=str(path), **settings)
    inputs = find_inputs(source)
    return pl.concat(read_files(inputs.files, Intake(source), check_rows)), inputs


def error_of(path: Path, **settings) -> str:
    with pytest.raises(RnnflowError) as caught:
        read(path, **settings)
    return str(caught.value)


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_a_table_in_an_archive_is_read_as_the_table_by_itself(tmp_path: Path, name: str, suffix: str):
    path, member = tmp_path / name, f"data/rows.{suffix}"
    path.write_bytes(PACKERS[name]({"README.md": b"x", member: as_bytes(suffix), **FORKS}))

    rows, inputs = read(path)

    assert rows.select("text", "label").rows() == [("one", "a"), ("two", "b")]
    assert rows["source"].to_list() == [member] * 2
    assert [file.name for file in inputs.files] == [member]
    assert set(inputs.ignored) == {"README.md", *FORKS}
    line = {"csv": 3, "tsv": 3}.get(suffix, 2)
    cells = read_all_cells(inputs.files[0], SourceSettings(path=str(path)), [line])
    assert cells.select("cell text", "cell label").rows() == [("two", "b")]


@pytest.mark.parametrize("name", PACKERS)
def test_several_tables_are_read_in_the_order_of_the_archive_and_include_picks_some(tmp_path: Path, name: str):
    path = tmp_path / name
    other = TABLE.select("label", "text")
    path.write_bytes(
        PACKERS[name]({"b.csv": as_bytes("csv"), "a.csv": as_bytes("csv", other), "c.jsonl": as_bytes("jsonl")})
    )

    assert read(path)[0]["source"].to_list() == ["b.csv"] * 2 + ["a.csv"] * 2 + ["c.jsonl"] * 2
    assert read(path, include="a.*")[0]["source"].to_list() == ["a.csv"] * 2
    assert read(path, format="csv")[0].height == 4
    assert read(path)[1].digest() == find_inputs(SourceSettings(path=str(path), include="a.*")).digest()


def test_a_table_that_lacks_a_column_is_named_with_what_helps(tmp_path: Path):
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"train.csv": as_bytes("csv"), "test.csv": b"id,text\n1,x\n"}))

    assert error_of(path) == (
        f'E-SRC-005 {path}!test.csv:1 column "label": is missing, found "id", "text". The first row reads "1", "x".\n'
        "Fix: name the column in the recipe or in the file, or choose tables of the archive with include."
    )
    assert read(path, include="train.csv")[0].height == 2


def test_documents_and_tables_in_one_archive_are_refused_until_the_recipe_chooses(tmp_path: Path):
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"a/1.txt": b"one", "b/2.txt": b"two", "rows.csv": as_bytes("csv")}))

    assert error_of(path) == (
        f'E-ARC-010 {path}: holds documents, such as "a/1.txt", and tables, such as "rows.csv".\n'
        'Fix: set include = "*.csv" to read the tables, or format = "folder" to read the documents.'
    )
    assert read(path, include="*.csv")[0]["text"].to_list() == ["one", "two"]
    assert read(path, format="folder")[0]["label"].to_list() == ["a", "b"]
    assert read(path, include="*/*.txt")[0]["label"].to_list() == ["a", "b"]


def test_an_archive_with_neither_is_told_with_what_it_holds(tmp_path: Path):
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"a.pdf": b"x", ".b": b"x"}))

    assert error_of(path).splitlines()[0] == (
        f'E-SRC-006 {path}: holds no file that matches include = "*.txt", only 2 others such as "a.pdf".'
    )
    path.write_bytes(zip_of({"a.csv.gz": b"x"}))
    assert error_of(path).startswith(f"E-ARC-008 {path}!a.csv.gz: ")
    path.write_bytes(zip_of({"a.csv.gz": b"x", "b.csv": as_bytes("csv")}))
    assert error_of(path).startswith(f"E-ARC-008 {path}!a.csv.gz: ")
    assert read(path, include="b.csv")[0].height == read(path, on_bad_rows="skip")[0].height == 2


@pytest.mark.parametrize(
    ("hostile", "code", "settings"),
    [
        (lambda rows: zip_of({"../rows.csv": rows}), "E-ARC-001", {}),
        (lambda rows: zip_of({"rows.csv": rows, "ROWS.csv": rows}), "E-ARC-009", {}),
        (lambda rows: zip_of({"rows.csv": rows + b"x,y,a\n" * 2**20}), "E-ARC-004", {}),
        (lambda rows: zip_of({"rows.csv": rows}), "E-SRC-009", {"max_bytes": 10}),
        (lambda rows: zip_of({"rows.csv": rows, "b.csv": rows}), "E-ARC-007", {"max_members": 1}),
        (lambda rows: tar_of({"rows.csv": rows})[:-9_800], "E-ARC-006", {}),
    ],
)
def test_the_guards_of_archives_hold_for_tables(tmp_path: Path, hostile, code: str, settings: dict):
    path = tmp_path / ("a.tar" if code == "E-ARC-006" else "a.zip")
    path.write_bytes(hostile(as_bytes("csv")))

    assert error_of(path, on_bad_rows="skip", **settings).startswith(f"{code} {path}")


def test_damage_within_a_member_is_found(tmp_path: Path):
    path = tmp_path / "a.zip"
    data = zip_of({"rows.csv": as_bytes("csv")}, zipfile.ZIP_STORED)
    path.write_bytes(data.replace(b"two", b"owt", 1))

    assert error_of(path).startswith(f"E-ARC-006 {path}!rows.csv: is damaged")


def test_series_are_read_from_archives_also_as_texts_without_a_suffix_of_tables(tmp_path: Path):
    table = b"time;value\n2026-01-01;1\n2026-01-02;2\n"

    def numbers(name: str, **settings) -> list[float]:
        source = SeriesSource(path=str(tmp_path / name), **settings)
        frames = read_files(find_inputs(source).files, Intake(source), RowParser(source))
        return pl.concat(frames)["value.value"].to_list()

    (tmp_path / "a.zip").write_bytes(zip_of({"power.txt": table}))
    (tmp_path / "b.zip").write_bytes(zip_of({"power.csv": table, "notes.txt": b"x"}))
    (tmp_path / "c.zip").write_bytes(zip_of({"power": table}))
    (tmp_path / "d.txt").write_bytes(table)
    assert numbers("a.zip") == numbers("b.zip") == numbers("d.txt") == [1, 2]
    assert numbers("c.zip", format="csv") == [1, 2]
    assert numbers("*.zip", format="csv", one_series_per_file=True) == [1, 2] * 3
    with pytest.raises(InputError, match=r"E-SRC-006 .* holds no file that is a table, only 1 other"):
        numbers("c.zip")


def test_sequences_are_read_from_an_archive_of_their_own_format(tmp_path: Path):
    voices = b"@timeStamps false\n@classLabel true a b\n@data\n1,2:a\n3,4:b\n"
    path = tmp_path / "voices.zip"
    path.write_bytes(zip_of({"V_TRAIN.ts": voices, "V_TEST.ts": voices, "V.txt": b"about"}))
    source = SequenceSource(
        path=str(path), id_column="sequence", time_column="step", time_unit="step", value_columns=["channel_1"]
    )

    files = find_inputs(source).files

    assert [(file.name, file.kind) for file in files] == [("V_TRAIN.ts", "ts"), ("V_TEST.ts", "ts")]


def test_a_prediction_of_texts_reads_the_only_table_of_an_archive(tmp_path: Path):
    serving: LabellerServing = serve_as(Serving, SourceSettings(path="rows.csv"))
    path = tmp_path / "new.zip"
    path.write_bytes(zip_of({"new.csv": b"text\nthree\n", ".DS_Store": b""}))

    [window] = read_windows(open_input(path, serving, Columns(), {}))

    assert window.rows["text"].to_list() == ["three"]
    path.write_bytes(zip_of({"new.csv": b"text\nthree\n", "old.csv": b"text\nfour\n"}))
    with pytest.raises(InputError, match=r'E-SRC-003 .*: holds 2 tables, such as "new.csv", expected one table'):
        open_input(path, serving, Columns(), {})
