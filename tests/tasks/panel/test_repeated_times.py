"""Rows that repeat a time: merged only where they are one measurement, and explained where they are not."""

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.kinds.detect.ingest import write_rows as write_watched_rows
from tasks.kinds.detect.source import DetectionSource
from tasks.kinds.forecast.ingest import write_rows
from tasks.panel.source import SeriesSource
from tasks.sources.inputs import find_inputs

ITEMS = ("bread", "tea", "wine")


def table(path: Path, header: str, rows: Sequence[Sequence[object]]) -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows), ""]))
    return path


def read(path: Path | str, **given_settings) -> tuple[pl.DataFrame, dict]:
    source = SeriesSource(path=str(path), **given_settings)
    inputs = find_inputs(source)
    folder = Path(path).parent / "out"
    folder.mkdir(exist_ok=True)
    summary = dict(write_rows(folder, settings=source, inputs=inputs, digest=inputs.digest()))
    return pl.read_parquet(folder / "rows.parquet"), summary


def error_of(path: Path | str, **given_settings) -> InputError:
    with pytest.raises(InputError) as caught:
        read(path, **given_settings)
    return caught.value


def panel(days: int = 10) -> list[tuple]:
    return [
        (f"2024-01-{day:02}", store, item, day * 10 + number)
        for store in "NS"
        for day in range(1, days + 1)
        for number, item in enumerate(ITEMS)
    ]


def test_the_column_that_tells_rows_apart_is_named_before_any_merging(tmp_path):
    path = table(tmp_path / "a.csv", "time,store,item,value", panel())

    error = error_of(path, id_columns="store")

    assert (error.code, error.row) == ("E-TIME-014", 3)
    assert error.problem.endswith(
        '(40 of 60 rows repeat a time of their series); column "item" tells these rows apart.'
    )
    assert error.fix == 'set id_columns = ["store", "item"], if that names the series.'
    assert error_of(path).fix == 'set id_columns = ["store"], if that names the series.'
    assert error_of(path, unsorted="sort").fix == 'set id_columns = ["store", "item"], if that names the series.'
    assert read(path, id_columns=["store", "item"])[1]["series"] == 6


@pytest.mark.parametrize("policy", ["first", "last", "mean"])
def test_rows_that_differ_are_merged_only_when_that_is_confirmed(tmp_path, policy):
    path = table(tmp_path / "a.csv", "time,store,item,value", panel())

    error = error_of(path, id_columns="store", duplicates=policy)

    assert (error.code, error.row) == ("E-TIME-020", 3)
    assert f'duplicates = "{policy}" would turn 60 rows into 20: 40 of 60 rows' in error.problem
    assert error.fix.startswith('set id_columns = ["store", "item"]')
    assert error.fix.endswith("If they are one measurement each, set expect_merged = true.")
    rows, summary = read(path, id_columns="store", duplicates=policy, expect_merged=True)
    assert rows.height == 20
    assert summary["warnings"][0].startswith("60 rows became 20: 40 rows repeated a time of their series; of such ")


def test_few_rows_that_another_column_tells_apart_are_not_merged_unasked(tmp_path):
    rows = [(f"2024-01-01T{hour:02}:{minute:02}", "a", hour) for hour in range(20) for minute in range(60)]
    few = table(tmp_path / "a.csv", "time,note,value", [*rows, ("2024-01-01T19:59", "b", 7)])
    same = table(tmp_path / "b.csv", "time,note,value", [*rows, ("2024-01-01T19:59", "a", 7)])

    assert error_of(few, duplicates="last").code == "E-TIME-021"
    assert error_of(same).fix == 'remove one of the rows, or set duplicates = "first", "last" or "mean".'
    assert read(same, duplicates="last")[0]["value.value"][-1] == 7
    assert read(few, duplicates="last", expect_merged=True)[0]["value.value"][-1] == 7


def test_more_than_one_row_in_a_hundred_is_not_merged_unasked(tmp_path):
    rows = [(f"2024-01-01T{hour:02}:{minute:02}", minute) for hour in range(5) for minute in range(60)]

    others = [(rows[-1][0], value) for value in range(5)]
    three = table(tmp_path / "a.csv", "time,value", [*rows, *others[:3]])
    assert read(three, duplicates="mean")[0].height == 300
    five = table(tmp_path / "a.csv", "time,value", [*rows, *others])
    assert error_of(five, duplicates="mean").code == "E-TIME-020"
    assert "more than 1%" in error_of(five, duplicates="mean").problem
    assert error_of(five).fix.endswith('"last" or "mean", and expect_merged = true.')


def test_copies_of_rows_are_merged_however_many_they_are(tmp_path):
    rows = [(f"2024-01-01T{hour:02}:00", hour, "") for hour in range(20)]
    path = table(tmp_path / "a.csv", "time,value,load", [row for row in rows for _ in range(3)])
    one_differs = table(
        tmp_path / "b.csv", "time,value,load", [*[row for row in rows for _ in range(3)], (*rows[-1][:2], 1)]
    )
    columns = {"value_columns": ["value", "load"], "duplicates": "last"}

    kept, summary = read(path, **columns)

    assert kept["value.value"].to_list() == [hour for _, hour, _ in rows]
    assert summary["warnings"][0].startswith("60 rows became 20: 40 rows repeated a time")
    assert error_of(one_differs, **columns).code == "E-TIME-020"


def test_counters_measurements_and_texts_without_recurrence_name_no_series(tmp_path):
    rows = [
        (f"2024-01-01T{i // 2 // 60:02}:{i // 2 % 60:02}", i, i / 7, 100 + i * 7 % 90, f"id-{i}", 1) for i in range(200)
    ]
    path = table(tmp_path / "a.csv", "time,number,load,visitors,key,value", rows)

    assert "apart" not in error_of(path).problem


def test_a_time_of_day_in_another_column_is_named_with_the_settings_that_read_it(tmp_path):
    rows = [(f"{day:02}/05/2023", f"{hour:02}:00:00", hour) for day in (1, 2) for hour in range(24)]
    path = table(tmp_path / "a.csv", "Date,Time,value", rows)

    error = error_of(path, time_column="Date", time_format="%d/%m/%Y")

    assert 'column "Date" holds dates without a time of day, which column "Time" seems to hold' in error.problem
    assert error.fix == 'set time_columns = ["Date", "Time"] and time_format = "%d/%m/%Y %H:%M:%S".'
    fixed = {"time_columns": ["Date", "Time"], "time_format": "%d/%m/%Y %H:%M:%S"}
    assert read(path, **fixed)[0]["value.value"].to_list() == [hour for *_, hour in rows]
    assert error_of(path, time_column="Date", time_format="%d/%m/%Y", duplicates="mean").code == "E-TIME-020"


def test_an_hour_that_clocks_show_twice_is_named(tmp_path):
    hours = ["2023-10-29T01:00", "2023-10-29T02:00", "2023-10-29T02:00", "2023-10-29T03:00", "2023-10-29T04:00"]
    path = table(tmp_path / "a.csv", "time,value", [(hour, row) for row, hour in enumerate(hours)])
    quarters = [hour.replace("02:00", f"02:{minute}") for hour in hours[1:3] for minute in ("00", "15", "30", "45")]
    finer = table(tmp_path / "b.csv", "time,value", [(time, row) for row, time in enumerate(quarters)])
    remedy = 'set time_zone = "Europe/Berlin", or the zone whose clocks these are, and ambiguous_times = "order".'

    assert (error_of(path).code, error_of(path).fix) == ("E-TIME-014", remedy)
    assert (error_of(finer).code, error_of(finer).fix) == ("E-TIME-013", remedy)
    assert error_of(path, duplicates="mean").code == "E-TIME-021"
    settled = {"time_zone": "Europe/Berlin", "ambiguous_times": "order"}
    assert read(path, **settled)[0]["value.value"].to_list() == [0, 1, 2, 3, 4]
    assert read(finer, **settled)[0]["value.value"].to_list() == list(range(8))


def test_files_that_hold_other_values_at_the_same_times_are_named(tmp_path):
    hours = [f"2024-01-01T{hour:02}:00" for hour in range(24)]
    for name, offset in (("a", 0), ("b", 100)):
        table(tmp_path / f"{name}.csv", "time,value", [(time, offset + row) for row, time in enumerate(hours)])

    in_turn = error_of(tmp_path / "*.csv")
    error = error_of(tmp_path / "*.csv", unsorted="sort")

    assert in_turn.problem.endswith("times go back only where another file begins.")
    assert in_turn.fix.startswith("set one_series_per_file = true if each file is a series")
    assert error.code == "E-TIME-014"
    assert error_of(tmp_path / "*.csv", unsorted="sort", duplicates="mean").code == "E-TIME-020"
    assert "such rows are in different files and have different values" in error.problem
    assert error.fix.startswith("set one_series_per_file = true")
    assert read(tmp_path / "*.csv", one_series_per_file=True)[1]["series"] == 2


def test_a_panel_that_goes_back_where_a_column_changes_names_the_column(tmp_path):
    rows = sorted(panel(), key=lambda row: (row[1], row[2], row[0]))
    path = table(tmp_path / "a.csv", "time,store,item,value", rows)

    error = error_of(path, id_columns="store")

    assert error.code == "E-TIME-013"
    assert error.problem.endswith('column "item" changes wherever times go back.')
    assert error.fix == 'set id_columns = ["store", "item"], if that names the series.'


def test_series_that_are_sorted_into_one_another_are_not_so_in_silence(tmp_path):
    rows = [("2024-01-03", "x", 1), ("2024-01-04", "x", 2), ("2024-01-01", "y", 3), ("2024-01-02", "y", 4)]
    path = table(tmp_path / "a.csv", "time,item,value", rows)

    _, summary = read(path, unsorted="sort")

    said = 'sorted 1 row that went back in time, though column "item" changes wherever times go back'
    assert f"{said}: check that they are one series" in summary["warnings"]
    assert "sorted" not in " ".join(read(path, unsorted="sort", id_columns="item")[1]["warnings"])


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_rows_of_every_format_are_read_again(tmp_path, suffix):
    frame = pl.DataFrame(panel(), schema=["time", "store", "line", "value"], orient="row")
    path = tmp_path / f"a.{suffix}"
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[suffix](path)

    assert error_of(path, id_columns="store").fix.startswith('set id_columns = ["store", "line"]')


def test_a_detector_merges_as_a_forecaster_does_and_may_keep_each_row(tmp_path):
    path = table(tmp_path / "a.csv", "time,store,item,value", panel())

    def read_watched(**given_settings) -> dict:
        source = DetectionSource(path=str(path), id_columns="store", **given_settings)
        inputs = find_inputs(source)
        return dict(write_watched_rows(tmp_path, settings=source, inputs=inputs, digest=inputs.digest()))

    with pytest.raises(InputError, match=r"^E-TIME-020 "):
        read_watched(duplicates="mean")
    assert read_watched(duplicates="keep")["rows"] == 60
    assert read_watched(duplicates="mean", expect_merged=True)["warnings"][0].startswith("60 rows became 20")


CONFIGURATIONS = st.fixed_dictionaries(
    {
        "id_columns": st.sampled_from([(), ("store",), ("item",), ("store", "item")]),
        "duplicates": st.sampled_from(["error", "first", "last", "mean"]),
        "time_of_day_column": st.sampled_from([None, "clock"]),
        "unsorted": st.sampled_from(["error", "sort"]),
    }
)
ROWS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 3), st.sampled_from("NS"), st.sampled_from(ITEMS)),
    min_size=2,
    max_size=40,
)


@settings(max_examples=50, deadline=None)
@given(rows=ROWS, configuration=CONFIGURATIONS)
def test_no_accepted_configuration_merges_rows_that_a_column_tells_apart(tmp_path_factory, rows, configuration):
    cells = [
        (f"2024-01-{day:02}", f"{hour:02}:00", store, item, number)
        for number, (day, hour, store, item) in enumerate(sorted(rows, key=lambda row: row[:2]))
    ]
    path = table(tmp_path_factory.mktemp("panel") / "a.csv", "day,clock,store,item,value", cells)
    whose = defaultdict(set)
    for day, clock, store, item, number in cells:
        whose[day, clock, store, item].add(number)
    merged = {"first": min, "last": max, "mean": fmean}.get(configuration["duplicates"], min)

    with contextlib.suppress(InputError):
        table_of_rows, _ = read(path, time_column="day", frequency="1h", **configuration)
        assert sorted(table_of_rows["value.value"]) == sorted(merged(numbers) for numbers in whose.values())
