"""One meaning gives one label and one number in every format of tables."""

import json
from pathlib import Path

import polars as pl
import pytest

from tasks.errors import InputError
from tasks.kinds.classify.ingest import check_rows
from tasks.kinds.classify.source import SourceSettings
from tasks.kinds.detect.ingest import LabelledRowParser
from tasks.kinds.detect.source import DetectionSource
from tasks.panel.cells import RowParser
from tasks.panel.source import SeriesSource
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files

FORMATS = ["csv", "jsonl", "parquet"]


def write(path: Path, table: pl.DataFrame) -> Path:
    getattr(table, {".jsonl": "write_ndjson"}.get(path.suffix, f"write_{path.suffix[1:]}"))(path)
    return path


def read(path: Path, **settings) -> tuple[list[str | None], Intake]:
    source = SourceSettings(path=str(path), **settings)
    intake = Intake(source)
    return pl.concat(read_files(find_inputs(source).files, intake, check_rows))["label"].to_list(), intake


def error_of(path: Path, **settings) -> str:
    with pytest.raises(InputError) as caught:
        read(path, **settings)
    return str(caught.value)


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"rows.{request.param}"


def test_truth_values_are_the_same_two_labels(path: Path):
    write(path, pl.DataFrame({"text": ["one", "two"], "label": [True, False]}))
    assert read(path)[0] == ["true", "false"]
    assert read(path, labels={"True": "spam", "false": "ham"})[0] == ["spam", "ham"]
    assert read(path, where={"label": "TRUE"})[0] == ["true"]

    write(path, pl.DataFrame({"text": ["one", "two"], "label": ["True", "FALSE"]}))
    labels, intake = read(path)
    assert labels == ["true", "false"]
    assert intake.spellings.warnings(SourceSettings(path="x.csv")) == [
        'labels of 2 rows were written as truth values are: "True" to "true" (1 row), "FALSE" to "false" (1 row)'
    ]


def test_ones_and_zeros_are_no_truth_values(path: Path):
    write(path, pl.DataFrame({"text": ["one", "two"], "label": [1, 0]}))

    assert read(path)[0] == ["1", "0"]


def test_labels_that_look_like_quantities_are_labels_where_the_recipe_lists_them(path: Path):
    write(path, pl.DataFrame({"text": ["one", "two"], "label": [1.5, -100.0]}))
    assert error_of(path).startswith(f'E-DATA-013 {path}:{2 if path.suffix == ".csv" else 1} column "label": got "1.5"')
    assert read(path, labels={"1.5": "thick", "-100.0": "thin"})[0] == ["thick", "thin"]

    names = ["NaN", "NA", "null", "inf", "1,5", "-100"]
    write(path, pl.DataFrame({"text": names, "label": names}))
    assert error_of(path).partition(": got ")[2].startswith('"NaN", expected a name')
    assert read(path, labels=dict(zip(names, names, strict=True)))[0] == names


def test_truth_values_are_numbers_where_numbers_are_expected(path: Path):
    times = [f"2026-01-0{day}" for day in range(1, 4)]
    write(path, pl.DataFrame({"time": times, "value": [True, False, None]}))

    def numbers(source) -> list[float | None]:
        return pl.concat(read_files(find_inputs(source).files, Intake(source), RowParser(source)))[
            "value.value"
        ].to_list()

    assert numbers(SeriesSource(path=str(path))) == [1, 0, None]
    write(path, pl.DataFrame({"time": times, "value": ["True", "FALSE", "?"]}))
    assert numbers(SeriesSource(path=str(path), missing_values=["?"], decimal=",")) == [1, 0, None]


def test_truth_values_and_fractions_tell_what_is_anomalous(path: Path):
    times = [f"2026-01-0{day}" for day in range(1, 4)]
    for labels in ([True, False, None], [1.0, 0.0, None], [1, 0, None]):
        write(path, pl.DataFrame({"time": times, "value": [1.0, 2.0, 3.0], "mark": labels}))
        source = DetectionSource(path=str(path), label_column="mark")
        rows = pl.concat(read_files(find_inputs(source).files, Intake(source), LabelledRowParser(source)))
        assert rows.height == 3


def test_keys_that_some_records_lack_are_null(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    records = [{"text": "one", "part": "unsup"}, {"id": 5}, {"label": "a", "text": "two"}]
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records) + "broken\n")
    settings = {"split_column": "part", "on_bad_rows": "skip"}

    labels, intake = read(path, **settings)

    assert labels == [None, "a"]
    assert {example.split()[0] for example in intake.examples} == {"E-DATA-020", "E-JSON-001"}
    assert error_of(path, label_column="lable") == (
        f'E-SRC-005 {path}:1 column "lable": is missing, found "text", "part", "id", "label". The first row reads '
        '"one", "unsup".\nFix: name the column in the recipe or in the file; did you mean "label"?'
    )


def test_a_key_that_comes_late_is_found_and_the_pass_that_looks_for_it_does_not_count(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"text": "one", "split": "unsup"})] * 25_000
    path.write_text("\n".join([*lines, json.dumps({"text": "two", "label": "a"})]))

    labels, intake = read(path, split_column="split")

    assert labels == [None] * 25_000 + ["a"]
    assert intake.num_bytes == path.stat().st_size
