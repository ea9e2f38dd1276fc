"""Tables of series to canonical rows: layouts, policies, built-in data sets, and the caps of all sources."""

import gzip
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tasks.errors import InputError, IntegrityError, ResourceError, RnnflowError
from tasks.kinds.classify.source import SourceSettings
from tasks.kinds.forecast.ingest import write_rows
from tasks.panel.source import SeriesSource
from tasks.sources.inputs import BUILT_IN, ETTH1_SHA256, find_inputs

HOURS = [f"2024-01-01T{hour:02}:00" for hour in range(24)]


def read(folder: Path, **settings) -> tuple[pl.DataFrame, dict]:
    source = SeriesSource(**settings)
    inputs = find_inputs(source)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    summary = write_rows(out, settings=source, inputs=inputs, digest=inputs.digest())
    assert [path.name for path in out.iterdir()] == ["rows.parquet"]
    return pl.read_parquet(out / "rows.parquet"), summary.as_json()


def table(path: Path, rows: list[tuple], header: str = "time,value") -> str:
    path.write_text(header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return str(path)


def error_of(folder: Path, **settings) -> str:
    with pytest.raises(RnnflowError) as caught:
        read(folder, **settings)
    return str(caught.value).replace(str(folder), "IN")


def test_one_series_of_one_channel_needs_no_settings(tmp_path):
    rows, summary = read(tmp_path, path=table(tmp_path / "a.csv", [(time, i) for i, time in enumerate(HOURS)]))

    assert rows.schema == {
        "row": pl.UInt32,
        "series": pl.String,
        "time": pl.Datetime("us"),
        "value.value": pl.Float64,
    }
    assert rows["row"].to_list() == rows["value.value"].to_list() == list(range(24))
    assert rows["series"].unique().to_list() == ["series"]
    inputs = summary.pop("inputs")
    assert inputs["bytes"] == (tmp_path / "a.csv").stat().st_size
    assert summary == {
        "rows": 24,
        "series": 1,
        "channels": ["value"],
        "covariates": [],
        "grid": {"frequency": "1h", "clock": "naive", "zone": None, "anchor": 1_704_067_200_000_000},
        "first_time": "2024-01-01T00:00:00",
        "last_time": "2024-01-01T23:00:00",
        "unsorted": 0,
        "unsorted_explained": "",
        "duplicates": 0,
        "gaps": {"number": 0, "steps": 0, "first": []},
        "missing": {},
        "sentinels": {},
        "skipped": 0,
        "skipped_examples": [],
        "filtered": {},
    }


def test_a_panel_with_channels_and_covariates_is_sorted_by_series_and_time(tmp_path):
    rows = [(time, place, f"{i}.5", i * 10, i % 2) for i, time in enumerate(HOURS[:3]) for place in ("b", "a")]
    path = table(tmp_path / "a.csv", rows, "time,place,load,heat,holiday")

    columns = {"id_column": "place", "value_columns": ["load", "heat"], "covariate_columns": ["holiday"]}
    found, summary = read(tmp_path, path=path, **columns)

    assert found["series"].to_list() == ["a", "a", "a", "b", "b", "b"]
    assert found["row"].to_list() == [1, 3, 5, 0, 2, 4]
    assert found["value.load"].to_list() == [0.5, 1.5, 2.5] * 2
    assert found.columns[3:] == ["value.load", "value.heat", "known.holiday"]
    assert (summary["series"], summary["channels"], summary["covariates"]) == (2, ["load", "heat"], ["holiday"])
    assert summary["unsorted"] == 0


def test_a_long_table_is_pivoted_and_an_absent_channel_is_missing(tmp_path):
    rows = [(time, channel, i) for i, time in enumerate(HOURS[:3]) for channel in ("y", "x")][:-1]
    path = table(tmp_path / "a.csv", rows, "time,sensor,value")

    found, summary = read(tmp_path, path=path, channel_column="sensor")

    assert found.columns == ["row", "series", "time", "value.x", "value.y"]
    assert (found["row"].to_list(), found["value.x"].to_list()) == ([0, 2, 4], [0.0, 1.0, None])
    assert (summary["rows"], summary["channels"], summary["missing"]) == (3, ["x", "y"], {"value.x": 1})
    assert summary["warnings"] == ['1 missing value in "x"']


def test_each_file_may_be_a_series(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("b.csv", "deep/a.csv"):
        table(tmp_path / "in" / name, [(time, 1) for time in HOURS])

    found, _ = read(tmp_path, path=str(tmp_path / "in/**/*.csv"), one_series_per_file=True)

    assert found["series"].unique(maintain_order=True).to_list() == ["b.csv", "deep/a.csv"]


def test_json_lines_and_parquet_give_the_same_rows_as_csv(tmp_path):
    times = [datetime(2024, 1, 1) + timedelta(hours=hour) for hour in range(5)]
    numbers = [1.5, -2.0, 1e-3, None, 7.0]
    records = [{"time": f"{time:%Y-%m-%dT%H:%M}", "value": number} for time, number in zip(times, numbers, strict=True)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    table(tmp_path / "a.csv", [(record["time"], record["value"] or "") for record in records])
    pq.write_table(pa.table({"time": pa.array(times, pa.timestamp("ns")), "value": numbers}), tmp_path / "a.parquet")

    rows = {suffix: read(tmp_path, path=str(tmp_path / f"a.{suffix}"))[0] for suffix in ("csv", "jsonl", "parquet")}

    assert rows["csv"]["value.value"].to_list() == numbers
    assert rows["jsonl"].equals(rows["csv"])
    assert rows["parquet"].equals(rows["csv"])


def test_times_of_a_zone_in_parquet_are_instants(tmp_path):
    times = pa.array([datetime(2024, 3, 31, hour) for hour in range(4)], pa.timestamp("us", "Europe/Paris"))
    pq.write_table(pa.table({"time": times, "value": [1, 2, 3, 4]}), tmp_path / "a.parquet")

    rows, _ = read(tmp_path, path=str(tmp_path / "a.parquet"))

    assert rows["time"].dtype == pl.Datetime("us", "UTC")
    assert rows["time"].dt.hour().to_list() == [0, 1, 2, 3]


def test_types_that_are_no_time_or_no_number_are_refused(tmp_path):
    pq.write_table(pa.table({"time": [True, False], "value": [1, 2]}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"time": "2024-01-01", "value": [1]}\n')

    assert error_of(tmp_path, path=str(tmp_path / "a.parquet")) == (
        'E-PQ-003 IN/a.parquet column "time": got bool, expected timestamps, strings or numbers.\n'
        "Fix: write the column as timestamps, strings or numbers."
    )
    assert error_of(tmp_path, path=str(tmp_path / "a.jsonl")) == (
        'E-JSON-003 IN/a.jsonl:1 column "value": got an array ("[1]"), expected an integer or a float or a boolean '
        "or a string.\nFix: write an integer or a float or a boolean or a string.\n"
        'Line 1 reads: "{"time": "2024-01-01", "value": [1]}"'
    )


def test_rows_that_go_back_in_time_are_refused_or_sorted(tmp_path):
    times = [HOURS[0], HOURS[2], HOURS[1], HOURS[3]]
    path = table(tmp_path / "a.csv", [(time, time[11:13]) for time in times])

    assert error_of(tmp_path, path=path) == (
        'E-TIME-013 IN/a.csv:4 column "time": got 2024-01-01T01:00:00 after 2024-01-01T02:00:00 in series "series".\n'
        'Fix: sort the rows, or set unsorted = "sort".'
    )
    rows, summary = read(tmp_path, path=path, unsorted="sort")
    assert (rows["row"].to_list(), rows["value.value"].to_list()) == ([0, 2, 1, 3], [0.0, 1.0, 2.0, 3.0])
    assert summary["warnings"] == ["sorted 1 row that went back in time"]


def test_rows_that_repeat_a_time_are_refused_or_one_is_kept(tmp_path):
    cells = [(HOURS[0], 1), (HOURS[1], 2), (HOURS[1], 6), (HOURS[1], ""), (HOURS[2], 3)]
    path = table(tmp_path / "a.csv", cells)

    assert error_of(tmp_path, path=path) == (
        'E-TIME-014 IN/a.csv:4 column "time": got 2024-01-01T01:00:00 again in series "series", first in IN/a.csv:3 '
        "(2 of 5 rows repeat a time of their series).\n"
        'Fix: remove one of the rows, or set duplicates = "first", "last" or "mean", and expect_merged = true.'
    )
    kept = {
        policy: read(tmp_path, path=path, duplicates=policy, expect_merged=True)[0]
        for policy in ("first", "last", "mean")
    }
    assert {policy: rows["value.value"].to_list() for policy, rows in kept.items()} == {
        "first": [1, 2, 3],
        "last": [1, None, 3],
        "mean": [1, 4, 3],
    }
    assert {policy: rows["row"].to_list() for policy, rows in kept.items()} == {
        "first": [0, 1, 4],
        "last": [0, 3, 4],
        "mean": [0, 1, 4],
    }


def test_a_time_may_repeat_in_another_series_or_channel(tmp_path):
    cells = [(time, name, 1) for time in HOURS[:2] for name in "ab"]
    path = table(tmp_path / "a.csv", cells, "time,name,value")

    assert read(tmp_path, path=path, id_column="name")[0].height == 4
    assert read(tmp_path, path=path, channel_column="name")[0].height == 2
    assert error_of(tmp_path, path=path).startswith("E-TIME-014")


def test_gaps_are_reported_with_their_times_or_refused(tmp_path):
    times = [*HOURS[:4], *HOURS[6:9], *HOURS[10:]]
    path = table(tmp_path / "a.csv", [(time, 1) for time in times])

    _, summary = read(tmp_path, path=path)

    gap = {"series": "series", "after": "2024-01-01T03:00:00", "before": "2024-01-01T06:00:00", "steps": 2}
    assert summary["gaps"]["first"][0] == gap
    assert (summary["gaps"]["number"], summary["gaps"]["steps"]) == (2, 3)
    assert summary["warnings"] == [
        "2 gaps with 3 missing steps of 1h, which no window spans: 2 after 2024-01-01T03:00:00, "
        "1 after 2024-01-01T08:00:00"
    ]
    assert error_of(tmp_path, path=path, gaps="error") == (
        'E-TIME-016 IN/a.csv:6 column "time": got 2024-01-01T06:00:00 after 2024-01-01T03:00:00 in series "series": '
        '2 missing steps of 1h.\nFix: fill in the rows, or set gaps = "cut", or "span" if rows that follow '
        "one another are steps."
    )


def test_missing_weekends_name_business_days_and_days_are_shown_as_dates(tmp_path):
    days = [datetime(2024, 1, 1) + timedelta(days=day) for day in range(28)]
    path = table(tmp_path / "a.csv", [(day.date(), 1) for day in days if day.weekday() < 5])

    assert error_of(tmp_path, path=path, gaps="error") == (
        'E-TIME-016 IN/a.csv:7 column "time": got 2024-01-08 after 2024-01-05 in series "series": 2 missing steps of '
        '1d.\nFix: set frequency = "1bd", by which days from Monday to Friday follow one another; for holidays, set '
        'gaps = "cut", or "span" if rows that follow one another are steps.'
    )
    _, summary = read(tmp_path, path=path, gaps="error", frequency="1bd")
    assert (summary["first_time"], summary["last_time"]) == ("2024-01-01", "2024-01-26")


def test_a_time_between_two_steps_is_refused(tmp_path):
    path = table(tmp_path / "a.csv", [(time, 1) for time in [*HOURS[:5], "2024-01-01T04:10", *HOURS[5:]]])

    assert error_of(tmp_path, path=path) == (
        'E-TIME-015 IN/a.csv:7 column "time": got 2024-01-01T04:10:00, which lies between two steps of 1h, as do 1 of '
        "25 rows.\nFix: average the rows of each step first, or set frequency (for steps of days also time_zone) if it "
        "is another."
    )
    assert read(tmp_path, path=path, frequency="10m")[1]["gaps"]["number"] == 23


def test_a_step_needs_two_times_of_one_series(tmp_path):
    path = table(tmp_path / "a.csv", [(HOURS[0], "a", 1), (HOURS[1], "b", 1)], "time,name,value")

    assert error_of(tmp_path, path=path, id_column="name") == (
        "E-TIME-019 no series has two times (2 rows in all), so the step is unknown.\n"
        "Fix: check id_columns, or add rows."
    )
    assert read(tmp_path, path=path, id_column="name", frequency="1h")[1]["rows"] == 2


def test_a_row_needs_a_series(tmp_path):
    path = table(tmp_path / "a.csv", [(HOURS[0], "a", 1), (HOURS[1], " ", 1)], "time,name,value")

    assert error_of(tmp_path, path=path, id_column="name") == (
        'E-SER-004 IN/a.csv:3 column "name": got no id.\nFix: fill it in, or drop the row.'
    )


def test_a_column_of_values_is_no_column_of_channels(tmp_path):
    path = table(tmp_path / "a.csv", [(HOURS[i % 24], i, 1) for i in range(1025)], "time,name,value")

    assert error_of(tmp_path, path=path, channel_column="name", unsorted="sort") == (
        'E-SER-005 found 1025 channels, such as "0", "1", "10", expected at most 1024.\n'
        "Fix: name the column of the channels as channel_column, and those of the series as id_columns."
    )


def test_rows_are_filtered_capped_and_guarded_like_those_of_any_source(tmp_path):
    path = table(tmp_path / "a.csv", [(time, "ab"[i % 2], i) for i, time in enumerate(HOURS)], "time,kind,value")
    source = SeriesSource(path=path)

    assert read(tmp_path, path=path, where={"kind": "a"})[1]["filtered"] == {"kind": 12}
    assert error_of(tmp_path, path=path, where={"kind": "c"}) == (
        "E-DATA-001 no rows are left: 24 other than where.kind.\nFix: check `where` and on_bad_rows, or the files."
    )
    with pytest.raises(ResourceError, match=r"^E-DATA-023 the source has more than max_rows = 9 rows\."):
        read(tmp_path, path=path, max_rows=9)
    with pytest.raises(IntegrityError, match=r"^E-INT-003"):
        write_rows(tmp_path / "out", settings=source, inputs=find_inputs(source), digest="another")


def test_a_folder_and_a_log_are_no_tables(tmp_path):
    (tmp_path / "a.log").write_text("x")

    assert error_of(tmp_path, path=str(tmp_path)) == (
        "E-SRC-006 IN: holds no file that is a table.\nFix: name tables with a glob such as folder/*.csv."
    )
    assert error_of(tmp_path, path=str(tmp_path / "a.log")) == (
        'E-SRC-003 IN/a.log: has the suffix ".log", expected one of .csv, .tsv, .jsonl, .ndjson, .parquet, .txt, .tar, '
        '.zip.\nFix: set format ("csv" for a text table, whatever separates its fields), or convert it.'
    )


def test_the_embedded_series_is_read_without_importing_its_package(tmp_path, monkeypatch):
    package = tmp_path / "bokeh_sampledata"
    (package / "_data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    stamps = ["00:00:00", "00:30:00", "01:00:00", "01:00:00", "02:00:00"]
    cells = "".join(f"2016-02-15T{stamp}Z,{4 + i}\n" for i, stamp in enumerate(stamps))
    with gzip.open(package / "_data" / "sea_surface_temperature.csv.gz", "wt") as file:
        file.write(f"time (UTC),temperature (celsius)\n{cells}")
    monkeypatch.syspath_prepend(tmp_path)

    rows, summary = read(tmp_path, dataset="sea-temperature", duplicates="mean")

    assert rows["value.temperature (celsius)"].to_list() == [4.0, 5.0, 6.5, 8.0]
    assert summary["warnings"] == [
        "5 rows became 4: 1 row repeated a time of their series; of such rows their mean was kept "
        '(duplicates = "mean")',
        "1 gap with 1 missing step of 30m, which no window spans: 1 after 2016-02-15T01:00:00Z",
    ]
    assert "bokeh_sampledata" not in sys.modules


def test_a_built_in_data_set_keeps_its_layout_and_leaves_its_policies_open():
    with pytest.raises(ValidationError, match='dataset "etth1" has a fixed layout; remove time_column'):
        SeriesSource(dataset="etth1", time_column="when")

    assert SeriesSource(dataset="sea-temperature").with_preset().duplicates == "error"
    assert SeriesSource(dataset="sea-temperature", duplicates="first").with_preset().duplicates == "first"


def test_etth1_is_downloaded_under_its_hash(monkeypatch):
    asked = []
    monkeypatch.setattr("tasks.sources.downloads.download", lambda remote, folder: asked.append(remote) or folder)

    BUILT_IN["etth1"](SourceSettings(dataset="reviews"))

    assert (asked[0].name, asked[0].sha256) == ("ETTh1.csv", ETTH1_SHA256)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"time_zone": "Paris"}, "Paris is not an IANA time zone"),
        ({"frequency": "0h"}, "0h is not a frequency"),
        ({"frequency": "1h", "time_unit": "step"}, "a frequency without a unit is required by time_unit"),
        ({"time_format": "%Y %Z"}, "%Z is not read"),
        ({"time_format": "%Y", "time_unit": "s"}, 'time_format needs time_unit "text"'),
        ({"value_columns": ["a", "time"]}, "time is named for more than one purpose"),
        ({"channel_column": "c", "value_columns": ["a", "b"]}, "channel_column requires exactly one value column"),
        ({"id_column": "a", "one_series_per_file": True}, "exclude one another"),
        ({"time_zone": "UTC", "time_unit": "step"}, 'time_unit "step" has no time_zone'),
        ({"sentinels": [float("nan")]}, "finite number"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(settings, problem):
    with pytest.raises(ValidationError, match=problem):
        SeriesSource(path="a.csv", **settings)


def test_what_no_reader_understands_keeps_its_place(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('time,value\n2024-01-01,1\n2024-01-02,"2\n')

    with pytest.raises(InputError, match=r'^E-CSV-003 .*a.csv:3: opens a quote \("\) that is never closed'):
        read(tmp_path, path=str(path))
