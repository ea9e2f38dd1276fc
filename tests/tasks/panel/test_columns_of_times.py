"""Times in several columns, joined before they are read; rows that hold none; and tables that are written back."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.kinds.detect.source import DetectionSource
from tasks.panel.source import SeriesSource
from tasks.panel.source_tables import to_source_table, write_source_table
from tests.tasks.panel.reading import error_of, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.csv"


HOURS = [datetime(2011, 1, 2, 3), datetime(2011, 1, 2, 4)]


@pytest.mark.parametrize(
    ("header", "cells", "stated"),
    [
        ("Date,Time", ("02/01/2011,03:00:00", "02/01/2011,04:00:00"), {"time_format": "%d/%m/%Y %H:%M:%S"}),
        ("Date,Time", ("2011-01-02,03:00", "2011-01-02,04:00"), {}),
        ("dteday,hr", ("2011-01-02,3", "2011-01-02,4"), {}),
        ("dteday,hr", ("2011-01-02,3.0", "2011-01-02,4.0"), {}),
        ("year,month,day,hour", ("2011,1,2,3", "2011,1,2,4"), {}),
        ("year,month,day,hour,minute", ("2011,1,2,3,0", "2011,01,02,04,00"), {}),
        ("Jahr,Monat,Tag,Stunde", ("2011,1,2,3", "2011,1,2,4"), {"time_format": "%Y %m %d %H"}),
        ("day,shift", ("2011-01-02,3", "2011-01-02,4"), {"time_format": "%Y-%m-%d %H"}),
    ],
)
def test_columns_are_read_together(path, header, cells, stated):
    text = "\n".join([f"{header},value", *(f"{cell},1" for cell in cells), ""])

    assert read(path, text, time_columns=header.split(","), **stated)["time"].to_list() == HOURS


def test_hours_that_count_to_24_end_the_day(path):
    rows = read(path, "day,hour,value\n2011-01-02,23,1\n2011-01-02,24,2\n", time_columns=["day", "hour"])

    assert rows["time"].to_list() == [datetime(2011, 1, 2, 23), datetime(2011, 1, 3)]


def test_a_year_and_a_month_are_a_month(path):
    rows = read(path, "year,month,value\n2011,1,1\n2011,2,2\n2011,3,2\n", time_columns=["year", "month"])

    assert rows["time"].to_list() == [datetime(2011, month, 1) for month in (1, 2, 3)]


@pytest.mark.parametrize(
    ("header", "cell"),
    [("day,month,year", "1,2,2011"), ("date,shift", "2011-01-02,3"), ("year,week", "2011,3"), ("year,day", "2011,3")],
)
def test_numbers_whose_names_do_not_say_what_they_are_need_a_format(path, header, cell):
    error = error_of(path, f"{header},value\n{cell},1\n", time_columns=header.split(","))

    assert (error.code, error.row, error.column) == ("E-TIME-002", 2, header.replace(",", ", "))
    assert f'got "{cell.replace(",", " ")}" from the columns of the time' in error.problem
    assert "set time_format, which reads the cells with a space between them" in error.fix


def test_a_part_that_no_calendar_has_is_refused(path):
    error = error_of(path, "year,month,day,value\n2011,13,1,1\n", time_columns=["year", "month", "day"])

    assert error.code == "E-TIME-004"
    assert "2011-13-01" in error.problem


def test_the_earlier_spellings_are_known():
    both = SeriesSource(path="a.csv", time_column="Date", time_of_day_column="Time")
    clock = SeriesSource(path="a.csv", time_of_day_column="clock")

    assert both.time_columns == ("Date", "Time")
    assert clock.time_columns == ("time", "clock")
    assert SeriesSource(path="a.csv", time_column="Date", time_columns=["Date", "Time"]).time_columns == (
        "Date",
        "Time",
    )
    assert SeriesSource(path="a.csv", time_column="Date", time_of_day_column=None).time_columns == ("Date",)
    with pytest.raises(
        ValidationError, match="time_column is the earlier spelling of time_columns, and the two differ"
    ):
        SeriesSource(path="a.csv", time_column="Date", time_columns=["day"])


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"time_columns": ["a", "b"], "time_unit": "s"}, 'several time_columns need time_unit "text"'),
        ({"time_columns": ["a", "b", "c"], "time_format": "%Y %m"}, "time_format reads the cells of all time_columns"),
        ({"time_columns": []}, "time_columns is empty"),
        ({"time_columns": "a", "time_unit": "order"}, 'time_unit "order" has no time_columns'),
        ({"time_unit": "order", "channel_column": "c"}, 'time_unit "order" excludes channel_column'),
        ({"time_unit": "order", "frequency": "2"}, 'time_unit "order" makes each row one step'),
        ({"time_unit": "order", "time_zone": "UTC"}, 'time_unit "order" has no time_zone'),
        ({"thousands": ",", "decimal": ","}, 'thousands and decimal are both ","'),
        ({"frequency": "2bd"}, "2bd is not a frequency"),
        ({"layout": "series_per_column", "id_columns": "a"}, "remove id_columns"),
        ({"layout": "series_per_row"}, "needs id_columns"),
        ({"layout": "series_per_row", "id_columns": "a"}, "needs a frequency"),
        ({"layout": "series_per_column", "channel_column": "a"}, "excludes channel_column"),
    ],
)
def test_settings_that_exclude_one_another_are_refused(stated, said):
    with pytest.raises(ValidationError, match=said):
        SeriesSource(path="a.csv", **stated)


STARTS = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)).map(lambda time: time.replace(microsecond=0))
COLUMNS = [
    (("date", "clock"), {}),
    (("date", "hour"), {}),
    (("date", "clock"), {"time_format": "%d.%m.%Y %I:%M:%S %p"}),
    (("year", "month", "day", "hour", "minute", "second"), {}),
    (("Jahr", "Monat", "Rest"), {"time_format": "%Y %m %d %H:%M:%S"}),
]


@settings(max_examples=40, deadline=None)
@given(start=STARTS, minutes=st.sampled_from([1, 60, 1440]), columns=st.sampled_from(COLUMNS), zone=st.booleans())
def test_what_is_written_to_several_columns_is_read_from_them(tmp_path_factory, start, minutes, columns, zone):
    names, stated = columns
    path = tmp_path_factory.mktemp("parts") / "a.csv"
    zone_name = "Asia/Kolkata" if zone else None
    stated = {"time_columns": names, "time_zone": zone_name, "frequency": f"{minutes}m", **stated}
    source = SeriesSource(path=str(path), **stated)
    times = pl.Series([start + timedelta(minutes=minutes * step) for step in range(4)], dtype=pl.Datetime("us"))
    times = times.dt.replace_time_zone("Asia/Kolkata").dt.convert_time_zone("UTC") if zone else times
    rows = pl.DataFrame({"series": "series", "time": times, "value.value": [1.0, 2.0, 3.0, 4.0]})

    write_source_table(path, to_source_table(rows, source), source)

    assert read(path, **stated).drop("row").equals(rows)


def test_rows_without_a_time_are_steps_of_their_series(path):
    rows = read(path, "id,value\na,1\nb,2\na,3\nb,4\na,5\n", time_unit="order", id_columns="id")

    assert rows.select("series", "time", "value.value").rows() == [
        ("a", 0, 1.0), ("a", 1, 3.0), ("a", 2, 5.0), ("b", 0, 2.0), ("b", 1, 4.0),
    ]  # fmt: skip


def test_each_file_begins_with_its_first_step(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("value\n1\n2\n3\n")

    rows = read(tmp_path / "*.csv", time_unit="order", one_series_per_file=True)

    assert rows["time"].to_list() == [0, 1, 2, 0, 1, 2]
    error = error_of(tmp_path / "*.csv", time_unit="order")
    assert error.code == "E-TIME-023"
    assert 'series "series" has rows in 2 files' in error.problem
    assert error.fix.startswith("set one_series_per_file = true if each file is a series")


def test_rows_keep_their_steps_across_batches(path):
    lines = [f"{number % 3},{number}" for number in range(25_000)]

    rows = read(path, "\n".join(["id,value", *lines, ""]), time_unit="order", id_columns="id")

    assert (rows["value.value"] == rows["time"] * 3 + rows["series"].cast(pl.Int64)).all()


def test_a_row_at_fault_keeps_its_step(path):
    rows = read(path, "value\n1\nx\n3\n4\n", time_unit="order", on_bad_rows="skip")

    assert rows["time"].to_list() == [0, 2, 3]


@pytest.mark.parametrize(
    ("text", "problem", "row"),
    [
        ("value\n1\n\n3\n", "line 3 is blank", 3),
        ("value,other\n1,2\n3\n4,5\n", "1 row could not be read (first: E-CSV-002", None),
    ],
)
def test_what_would_move_later_steps_unseen_is_refused(path, text, problem, row):
    error = error_of(path, text, time_unit="order", on_bad_rows="skip")

    assert (error.code, error.row) == ("E-TIME-023", row)
    assert error.problem.startswith(problem)


def test_blank_lines_at_the_end_move_nothing(path):
    assert read(path, "value\n1\n2\n\n\n", time_unit="order").height == 2


def test_the_remedy_of_a_missing_time_column_is_followed(path):
    error = error_of(path, "Data,Label\n1,0\n2,0\n3,1\n", value_columns="Data")

    assert (error.code, error.column) == ("E-SRC-005", "time")
    assert error.fix.endswith('or set time_unit = "order" if the rows are steps in their order, without a time.')
    assert read(path, value_columns="Data", time_unit="order").height == 3
    assert "order" not in error_of(path, value_columns="Dat", time_unit="order").fix
    assert DetectionSource(path=str(path), time_unit="order", label_column="Label").named_columns()["label"] == "Label"
