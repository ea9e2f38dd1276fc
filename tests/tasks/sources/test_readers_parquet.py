"""Parquet: what is read, caps before decoding, and damage that never leaves as anything but our error."""

import random
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InputError, IntegrityError, ResourceError, RnnflowError
from tasks.kinds.classify.ingest import check_rows
from tasks.kinds.classify.source import SourceSettings
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import BATCH_BYTES, Intake
from tasks.sources.readers import read_files
from tasks.sources.reading_parquet import read_parquet


def read(path: Path, **settings) -> pl.DataFrame:
    source = SourceSettings(path=str(path), **settings)
    return pl.concat(read_files(find_inputs(source).files, Intake(source), check_rows))


def write(path: Path, **columns) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_integer_and_categorical_labels_become_strings(tmp_path):
    path = write(tmp_path / "rows.parquet", text=["one", "two"], label=pa.array([0, -1], pa.int8()))
    assert read(path)["label"].to_list() == ["0", "-1"]

    pl.DataFrame({"text": ["one"], "label": ["a"]}, schema={"text": pl.String, "label": pl.Categorical}).write_parquet(
        path
    )
    assert read(path).rows() == [("one", "a", "rows.parquet", None)]


def test_the_line_of_a_fault_is_the_row_across_batches_and_row_groups(tmp_path):
    rng = random.Random(1)
    path = tmp_path / "rows.parquet"
    for _ in range(5):
        labels = ["a"] * 25_000
        position = rng.randrange(25_000)
        labels[position] = " b"
        pq.write_table(pa.table({"text": ["x"] * 25_000, "label": labels}), path, row_group_size=7_000)
        with pytest.raises(InputError) as caught:
            read(path)
        assert str(caught.value) == (
            f'E-DATA-013 {path}:{position + 1} column "label": got " b", expected no white space around it.\n'
            "Fix: remove the white space."
        )


def test_labels_that_are_no_classes_are_refused_by_their_type(tmp_path):
    path = write(tmp_path / "rows.parquet", text=["one", "two"], label=[["a"], ["b"]])

    with pytest.raises(InputError) as caught:
        read(path)

    assert str(caught.value) == (
        f'E-DATA-013 {path} column "label": got list<element: string>, expected strings or integers.\n'
        "Fix: write the column as strings or integers."
    )


def test_texts_must_be_strings(tmp_path):
    path = write(tmp_path / "rows.parquet", text=[b"one"], label=["a"])

    with pytest.raises(InputError) as caught:
        read(path)

    assert str(caught.value) == (
        f'E-PQ-003 {path} column "text": got binary, expected strings.\nFix: write the column as strings.'
    )


def test_a_missing_column_is_told_with_the_columns_and_the_first_row(tmp_path):
    path = write(tmp_path / "rows.parquet", texts=["one", "two"], label=[7, None])

    with pytest.raises(InputError) as caught:
        read(path)

    assert str(caught.value) == (
        f'E-SRC-005 {path} column "text": is missing, found "texts", "label". The first row reads "one", "7".\n'
        'Fix: name the column in the recipe or in the file; did you mean "texts"?'
    )


def test_missing_columns_nulls_and_empty_tables_are_refused(tmp_path):
    cases = {
        "E-SRC-005": {"texts": ["one"], "label": ["a"]},
        "E-DATA-020": {"text": pa.nulls(1), "label": ["a"]},
        "E-DATA-021": {"text": ["one"], "label": pa.nulls(1)},
        "E-SRC-004": {"text": pa.array([], pa.string()), "label": pa.array([], pa.string())},
    }
    for code, columns in cases.items():
        with pytest.raises(InputError) as caught:
            read(write(tmp_path / "rows.parquet", **columns))
        assert caught.value.code == code


def test_every_truncation_is_refused(tmp_path):
    path = write(tmp_path / "rows.parquet", text=[f"text {i}" for i in range(200)], label=["a", "b"] * 100)
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(RnnflowError) as caught:
            read(path)
        assert caught.value.code == "E-PQ-001"


def test_what_is_no_parquet_is_shown(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_text("text,label\nhello,a\n")

    with pytest.raises(InputError) as caught:
        read(path)

    assert str(caught.value) == (
        f'E-PQ-001 {path}: is cut off or not Parquet: begins and ends with "text" and "o,a\\n", expected "PAR1" '
        "twice.\n"
        "Fix: fetch or write the file again."
    )


def test_a_bomb_is_refused_from_its_footer(tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    table = pa.table({"text": ["x" * 1000 + str(i) for i in range(20_000)], "label": ["a"] * 20_000})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_, **__: pytest.fail("it was decoded"))

    with pytest.raises(ResourceError, match=r"^E-ARC-004 .*grew \d+-fold to \d+ bytes, expected at most 50-fold\."):
        read(path, max_ratio=50)
    with pytest.raises(ResourceError) as caught:
        read(path, max_rows=10_000)
    assert str(caught.value) == (
        f"E-PQ-002 {path}: announces 20000, expected at most max_rows = 10000.\n"
        "Fix: raise max_rows if the file is meant to be that large."
    )
    with pytest.raises(ResourceError, match=r"expected at most max_bytes = 1000000\.\n"):
        read(path, max_bytes=1_000_000, max_ratio=10_000)


def test_a_bomb_of_repeated_texts_is_refused_before_it_is_expanded(tmp_path):
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 9_000), ["x" * 1_000_000])
    path = write(tmp_path / "rows.parquet", text=texts, label=["a", "b"] * 4_500)

    assert pq.read_metadata(path).row_group(0).total_byte_size < 2_000_000
    with pytest.raises(ResourceError, match=r"^E-ARC-004 .*to 9000009000 bytes"):
        read(path)


def test_batches_of_long_texts_are_cut_before_they_are_expanded(tmp_path):
    texts = [str(i) * 1_000_000 for i in range(10)] * 4
    path = write(tmp_path / "rows.parquet", text=texts, label=["a", "b"] * 20)
    source = SourceSettings(path=str(path), max_ratio=10_000)

    frames = list(read_parquet(find_inputs(source).files[0], Intake(source)))

    assert [text for frame in frames for text in frame["text"]] == texts
    assert all(frame["text"].str.len_bytes().sum() <= BATCH_BYTES + 1_000_000 for frame in frames)
    assert [line for frame in frames for line in frame["line"]] == list(range(1, 41))


def test_mutated_files_raise_only_our_errors(tmp_path):
    rng = random.Random(4)
    path = write(tmp_path / "rows.parquet", text=[f"text é {i}" for i in range(300)], label=["a", "b"] * 150)
    whole = path.read_bytes()
    codes = set()
    for _ in range(400):
        mutated = bytearray(whole)
        for _ in range(rng.choice([1, 2, 8])):
            mutated[rng.randrange(4, len(mutated) - 4)] = rng.randrange(256)
        path.write_bytes(mutated)
        try:
            read(path)
        except RnnflowError as error:
            codes.add(error.code)
    assert "E-PQ-004" in codes


def test_damage_names_file_and_remedy(tmp_path):
    path = write(tmp_path / "rows.parquet", text=["one"], label=["a"])
    data = bytearray(path.read_bytes())
    data[-8:-4] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(data)

    with pytest.raises(IntegrityError) as caught:
        read(path)

    problem, fix = str(caught.value).split("\n")
    assert problem.startswith(f"E-PQ-004 {path}: has a damaged footer (ArrowInvalid: ")
    assert fix == "Fix: fetch or write the file again."
