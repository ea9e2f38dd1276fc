"""Rows to watch: labels are checked, order and repetitions are as the policies say, and irregular times are steps."""

from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.kinds.detect.recipe import DETECT
from tasks.kinds.detect.source import DetectionSource
from tasks.store.artefacts import Artefact

HEADER = "time,value,anomaly\n"


def read(folder: Path, lines: str, **settings: object) -> tuple[Artefact, pl.DataFrame]:
    path = folder / "rows.csv"
    path.write_text(HEADER + lines)
    rows = ingest.fn(DETECT, DetectionSource(path=str(path), **{"label_column": "anomaly", **settings}))
    return rows, pl.read_parquet(rows.file("rows.parquet"))


def test_labels_are_ones_zeros_or_unknown(project: Path):
    artefact, rows = read(project, "2026-01-01,1,0\n2026-01-02,2,true\n2026-01-03,3,\n2026-01-09,4, 1.0 \n")

    assert rows["label"].to_list() == [0, 1, None, 1]
    assert artefact.summary["labelled"]
    assert (artefact.summary["labelled_rows"], artefact.summary["anomalous_rows"]) == (3, 2)


def test_without_a_label_column_nothing_is_known(project: Path):
    artefact, rows = read(project, "2026-01-01,1,x\n2026-01-02,2,y\n", label_column=None)

    assert rows["label"].to_list() == [None, None]
    assert not artefact.summary["labelled"]


def test_another_label_is_named_with_its_row(project: Path):
    with pytest.raises(InputError, match=r'E-DET-001 .*rows\.csv:3 column "anomaly": got "2", expected 0 or 1'):
        read(project, "2026-01-01,1,0\n2026-01-02,2,2\n")


def test_irregular_times_are_steps_and_need_no_policy(project: Path):
    _, rows = read(project, "2026-01-01 00:00:00,1,0\n2026-01-01 00:00:07,2,0\n2026-03-01 00:00:00,3,0\n")

    assert rows["value.value"].to_list() == [1, 2, 3]


def test_rows_stay_where_they_are_if_told_so(project: Path):
    lines = "2026-01-02,1,0\n2026-01-01,2,0\n2026-01-01,3,1\n2026-01-03,4,0\n"

    _, kept = read(project, lines, unsorted="keep", duplicates="keep")
    _, ordered = read(project, lines, unsorted="sort", duplicates="last")

    assert kept["value.value"].to_list() == [1, 2, 3, 4]
    assert ordered["value.value"].to_list() == [3, 1, 4]
    assert ordered["label"].to_list() == [1, 0, 0]
    for settings, code in (({}, "E-TIME-013"), ({"unsorted": "sort"}, "E-TIME-014")):
        with pytest.raises(InputError, match=code):
            read(project, lines, **settings)


def test_series_that_take_turns_in_a_file_are_told_apart(project: Path):
    path = project / "rows.csv"
    path.write_text("id,time,value\nb,1,10\na,1,20\nb,0,11\na,0,21\n")

    rows = ingest.fn(DETECT, DetectionSource(path=str(path), id_column="id", time_unit="step", unsorted="keep"))

    table = pl.read_parquet(rows.file("rows.parquet"))
    assert table.select("series", "time", "value.value").rows() == [
        ("a", 1, 20),
        ("a", 0, 21),
        ("b", 1, 10),
        ("b", 0, 11),
    ]


def test_a_long_table_has_no_label_column():
    with pytest.raises(ValidationError, match="cannot be combined with a label column"):
        DetectionSource(path="x.csv", channel_column="channel", label_column="anomaly")


@pytest.mark.parametrize("policy", ["first", "last", "mean"])
@pytest.mark.parametrize("labels", ["01", "10", "?1", "1?"])
def test_rows_that_become_one_are_anomalous_if_one_of_them_is(project: Path, policy: str, labels: str):
    lines = "".join(f"2026-01-02,2,{label.replace('?', '')}\n" for label in labels)

    artefact, rows = read(project, f"2026-01-01,1,0\n{lines}2026-01-03,3,\n", duplicates=policy)

    assert rows["label"].to_list() == [0, 1, None]
    said = ["merged 1 row with one of another label; what is kept counts as anomalous"]
    assert artefact.summary["warnings"][1:2] == (said if "0" in labels else [])
