"""The benchmark's archive: rows in the order of its tables, each with whether it lies in a window."""

import io
import json
import tarfile
from pathlib import Path

import polars as pl
import pytest

from tasks.errors import InputError
from tasks.kinds.detect.source import DetectionSource
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files

TABLE = "timestamp,value\n2014-02-14 00:00:00,1\n2014-02-14 00:05:00,2\n2014-02-14 00:05:00,3\n2014-02-14 00:10:00,4\n"
WINDOW = ["2014-02-14 00:05:00.000000", "2014-02-14 00:10:00.000000"]


def pack(path: Path, windows: object, tables: dict[str, str], *, top: str = "NAB/") -> Path:
    files = {f"data/{name}": content for name, content in tables.items()}
    if windows is not None:
        files["labels/combined_windows.json"] = json.dumps(windows)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {**files, "README.md": "# NAB"}.items():
            header = tarfile.TarInfo(top + name)
            header.size = len(content.encode())
            archive.addfile(header, io.BytesIO(content.encode()))
    return path


def read(path: Path) -> pl.DataFrame:
    source = DetectionSource(dataset="nab", path=str(path)).with_preset()
    return pl.concat(read_files(find_inputs(source).files, Intake(source), lambda frame, _: frame))


@pytest.mark.parametrize("top", ["NAB/", "NAB-1.1/", ""])
def test_rows_of_a_window_are_anomalous_from_its_first_time_to_its_last(tmp_path: Path, top: str):
    rows = read(
        pack(
            tmp_path / "nab.tar.gz",
            {"a/x.csv": [WINDOW], "b.csv": []},
            dict.fromkeys(["b.csv", "a/x.csv"], TABLE),
            top=top,
        )
    )

    first, second = rows.partition_by("id file", maintain_order=True)
    assert first.select("line", "id file", "value value", "label").rows() == [
        (2, "a/x.csv", "1", "0"),
        (3, "a/x.csv", "2", "1"),
        (4, "a/x.csv", "3", "1"),
        (5, "a/x.csv", "4", "1"),
    ]
    assert second["label"].unique().to_list() == ["0"]


@pytest.mark.parametrize(
    ("windows", "tables", "error"),
    [
        (None, {"a.csv": TABLE}, "E-NAB-001 {file}: holds no labels/combined_windows.json."),
        ({"b.csv": []}, {"a.csv": TABLE}, 'E-NAB-002 {file}: names windows of "b.csv", which is not among its tables.'),
        (
            {"a.csv": [["2014-02-14 00:01:00", "2014-02-14 00:10:00"]]},
            {"a.csv": TABLE},
            "E-NAB-002 {file}!a.csv: has no row at 2014-02-14 00:01:00 or 2014-02-14 00:10:00, where a window begins",
        ),
        (
            {"a.csv": []},
            {"a.csv": "timestamp,number\n2014-02-14 00:00:00,1\n"},
            'E-SRC-005 {file} column "value": is missing',
        ),
    ],
)
def test_what_does_not_fit_together_is_named(tmp_path: Path, windows: object, tables: dict, error: str):
    path = pack(tmp_path / "nab.tar.gz", windows, tables)

    with pytest.raises(InputError) as raised:
        read(path)

    assert str(raised.value).startswith(error.format(file=path))


def test_without_an_archive_one_is_told_where_to_fetch_it():
    with pytest.raises(InputError, match=r"E-SRC-001 (?s:.*) --from-file"):
        find_inputs(DetectionSource(dataset="nab"))
