"""Cells of times and numbers: what each becomes, and what is refused with which remedy."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from tasks.errors import InputError
from tasks.panel.cells import RowParser
from tasks.panel.source import SeriesSource
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files

PARIS = "Europe/Paris"
BACK = "2024-10-27 02:30"  # clocks in Paris show it twice
FORWARD = "2024-03-31 02:30"  # and skip this one
POLICIES = ("earliest", "latest")


def read(path: Path, *times: str, values: tuple[str, ...] = (), **settings) -> tuple[pl.DataFrame, RowParser]:
    values = values or ("1",) * len(times)
    path.write_text(
        "time,value\n" + "".join(f'"{time}","{value}"\n' for time, value in zip(times, values, strict=True))
    )
    source = SeriesSource(path=str(path), **settings)
    parser = RowParser(source)
    return pl.concat(read_files(find_inputs(source).files, Intake(source), parser)), parser


def instants(path: Path, *times: str, **settings) -> list[str]:
    rows, _ = read(path, *times, **settings)
    return (
        rows["time"].cast(pl.Datetime("us")).dt.to_string("%Y-%m-%d %H:%M:%S%.6f").str.replace(".000000", "").to_list()
    )


def error_of(path: Path, *times: str, **settings) -> str:
    with pytest.raises(InputError) as caught:
        read(path, *times, **settings)
    return str(caught.value).replace(str(path), "FILE")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


def test_times_in_iso_8601_are_read_with_and_without_clock_and_offset(path):
    naive = ("2024-02", "2024-02-29", "2024-02-29 12:30", "2024-02-29T12:30:01,5", "2024-02-29T12:30:01.123456789")
    aware = ("2024-02-29T12:30Z", "2024-02-29 12:30:00 UTC", "2024-02-29T12:30:00+00:00", "2024-02-29T12:30-00")

    assert instants(path, *naive) == [
        "2024-02-01 00:00:00",
        "2024-02-29 00:00:00",
        "2024-02-29 12:30:00",
        "2024-02-29 12:30:01.500000",
        "2024-02-29 12:30:01.123456",
    ]
    assert read(path, *naive)[1].time_line.clock == "naive"
    assert set(instants(path, *aware)) == {"2024-02-29 12:30:00"}
    assert read(path, *aware)[1].time_line.clock == "utc"


def test_one_offset_is_taken_to_utc_with_a_warning(path):
    rows, parser = read(path, "2024-01-01T05:30+05:30", "2024-01-01T06:00+0530")

    assert rows["time"].diff()[1] == 30 * 60 * 10**6
    assert (parser.time_line.clock, parser.time_line.zone) == ("utc", "UTC")
    assert parser.time_line.warnings() == [
        "times have the offset +05:30; days, months and calendar features are counted in UTC unless time_zone is set"
    ]


@pytest.mark.parametrize(
    ("time", "code", "problem", "fix"),
    [
        ("", "001", "got nothing, expected a time.", "fill it in, or drop the row."),
        (
            "3 May 2024",
            "002",
            'got "3 May 2024", expected a time in ISO 8601 such as 2024-02-29T13:30:00Z.',
            'set time_format, for example "%Y/%m/%d %H:%M".',
        ),
        (
            "01/02/2024",
            "003",
            'got "01/02/2024", of which either number may be the day.',
            'set time_format, for example "%d/%m/%Y" or "%m/%d/%Y %H:%M".',
        ),
        (
            "01.02.2024 00:00",
            "003",
            'got "01.02.2024 00:00", of which either number may be the day.',
            'set time_format, for example "%d.%m.%Y" or "%m.%d.%Y %H:%M".',
        ),
        ("2023-02-29", "004", 'got "2023-02-29", which no calendar or clock shows.', "correct the time."),
        (
            "2016-12-31T23:59:60Z",
            "005",
            'got "2016-12-31T23:59:60Z", a leap second, which has no place on a regular grid.',
            "write second 59, or second 00 of the next minute.",
        ),
        (
            "2024-W05-1",
            "006",
            'got "2024-W05-1", a week, expected a date.',
            'set time_format = "%G-W%V-%u", which reads week dates with a day, such as 2024-W05-1.',
        ),
        ("20240229", "007", 'got "20240229", a number, expected a time in ISO 8601.', 'set time_format = "%Y%m%d".'),
        ("1577836800", "007", 'got "1577836800", a number, expected a time in ISO 8601.', 'set time_unit = "s".'),
        (
            "17",
            "007",
            'got "17", a number, expected a time in ISO 8601.',
            'set time_unit = "step" for plain numbers, or the unit they count.',
        ),
    ],
)
def test_a_time_that_is_not_iso_8601_is_refused_with_the_setting_that_reads_it(path, time, code, problem, fix):
    assert error_of(path, "2024-01-01", time) == f'E-TIME-{code} FILE:3 column "time": {problem}\nFix: {fix}'


def test_a_format_decides_what_has_two_readings_and_reads_weeks(path):
    assert instants(path, "01/02/2024", time_format="%d/%m/%Y") == ["2024-02-01 00:00:00"]
    assert instants(path, "01/02/2024", time_format="%m/%d/%Y") == ["2024-01-02 00:00:00"]
    assert instants(path, "2024-W05-1", time_format="%G-W%V-%u") == ["2024-01-29 00:00:00"]
    assert instants(path, "01.02.24 00:30+01:00", time_format="%d.%m.%y %H:%M%z") == ["2024-01-31 23:30:00"]


def test_a_format_that_does_not_fit_is_told_from_one_that_cannot_be_read(path):
    assert error_of(path, "13/13/2024", time_format="%d/%m/%Y") == (
        'E-TIME-002 FILE:2 column "time": got "13/13/2024", expected the format "%d/%m/%Y".\n'
        "Fix: correct the cell, or time_format."
    )
    assert error_of(path, "01/02/2024 13", time_format="%d/%m/%Y %M").startswith(
        'E-TIME-018 column "time": cannot be read with time_format "%d/%m/%Y %M" ("Invalid format string'
    )


def test_a_format_may_end_with_the_hour(path):
    assert instants(path, "01/02/2024 7", "01/02/2024 13", time_format="%d/%m/%Y %H") == [
        "2024-02-01 07:00:00",
        "2024-02-01 13:00:00",
    ]


def test_the_end_of_a_day_is_the_beginning_of_the_next(path):
    assert instants(path, "2024-02-29 23:00", "2024-02-29 24:00", "2024-12-31T24:00:00") == [
        "2024-02-29 23:00:00",
        "2024-03-01 00:00:00",
        "2025-01-01 00:00:00",
    ]
    assert error_of(path, "2024-02-29 24:30").startswith('E-TIME-004 FILE:2 column "time": got "2024-02-29 24:30"')


SKIPPED_MIDNIGHTS = [("America/Sao_Paulo", "2018-11-04"), ("Asia/Beirut", "2023-03-26"), ("Africa/Cairo", "2024-04-26")]


@pytest.mark.parametrize(("zone", "day"), SKIPPED_MIDNIGHTS)
def test_a_day_begins_with_its_first_instant_where_clocks_skip_midnight(path, zone, day):
    first = f"{day} 01:00"

    assert instants(path, day, time_zone=zone) == instants(path, first, time_zone=zone)
    stated = {"time_zone": zone, "time_format": "%d.%m.%Y"}
    assert instants(path, ".".join(reversed(day.split("-"))), **stated) == instants(path, first, time_zone=zone)
    assert error_of(path, f"{day} 00:00", time_zone=zone).startswith("E-TIME-009")


def test_a_day_begins_with_the_first_of_two_midnights(path):
    [begins] = instants(path, "2024-11-03", time_zone="America/Havana")

    assert begins == "2024-11-03 04:00:00"
    assert error_of(path, "2024-11-03 00:00", time_zone="America/Havana").startswith("E-TIME-010")


@pytest.mark.parametrize(
    ("unit", "time"),
    [
        ("s", "1577836800"),
        ("s", "1577836800.0"),
        ("s", "1.5778368e9"),
        ("ms", "1577836800000"),
        ("us", "1577836800000000"),
        ("ns", "1577836800000000000"),
    ],
)
def test_units_since_1970_are_read(path, unit, time):
    assert instants(path, time, time_unit=unit) == ["2020-01-01 00:00:00"]


@pytest.mark.parametrize(
    ("unit", "time", "right"),
    [("s", "1577836800000", "ms"), ("ms", "1577836800", "s"), ("us", "1577836800000000000", "ns")],
)
def test_a_time_close_to_1970_or_beyond_2100_betrays_another_unit(path, unit, time, right):
    names = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

    assert error_of(path, time, time_unit=unit) == (
        f'E-TIME-008 FILE:2 column "time": got "{time}" {names[unit]} since 1970, which is close to 1970 or beyond '
        f'2100; as {names[right]} it would not be.\nFix: set time_unit = "{right}".'
    )


def test_a_time_that_no_unit_explains_is_refused_without_a_proposal(path):
    assert error_of(path, "5", time_unit="s") == (
        'E-TIME-008 FILE:2 column "time": got "5" seconds since 1970, which is close to 1970 or beyond 2100.\n'
        "Fix: correct it, or write the time in ISO 8601."
    )


def test_plain_steps_are_integers(path):
    rows, parser = read(path, "7", "8.0", time_unit="step")

    assert rows["time"].to_list() == [7, 8]
    assert (parser.time_line.clock, parser.time_line.zone) == ("step", None)
    assert error_of(path, "7.5", time_unit="step") == (
        'E-TIME-017 FILE:2 column "time": got "7.5", expected a whole number of steps.\n'
        "Fix: correct the cell, or time_unit."
    )


def test_local_times_are_taken_to_utc_on_either_side_of_daylight_saving_time(path):
    assert instants(path, "2024-01-01 00:00", "2024-07-01 00:00", time_zone=PARIS) == [
        "2023-12-31 23:00:00",
        "2024-06-30 22:00:00",
    ]


def test_a_local_time_that_clocks_skip_is_refused(path):
    assert error_of(path, FORWARD, time_zone=PARIS) == (
        f'E-TIME-009 FILE:2 column "time": got "{FORWARD}", which clocks in {PARIS} skip when they go forward.\nFix: '
        'correct time_zone (clocks that never change have one such as "Etc/GMT-1"), or set on_bad_rows = "skip".'
    )
    assert len(instants(path, FORWARD, "2024-03-31 03:30", time_zone=PARIS, on_bad_rows="skip")) == 1


def test_a_local_time_that_clocks_show_twice_is_refused_or_decided(path):
    assert error_of(path, BACK, time_zone=PARIS) == (
        f'E-TIME-010 FILE:2 column "time": got "{BACK}", which clocks in {PARIS} show twice when they go back.\nFix: '
        'set ambiguous_times = "order" if the rows are in order, else "earliest" or "latest", or write the offset.'
    )
    summer, winter = "2024-10-27 00:30:00", "2024-10-27 01:30:00"
    decided = {policy: instants(path, BACK, BACK, time_zone=PARIS, ambiguous_times=policy) for policy in POLICIES}
    assert decided == {"earliest": [summer, summer], "latest": [winter, winter]}


def test_times_with_and_without_an_offset_are_not_mixed(path):
    assert error_of(path, "2024-01-01 00:00", "2024-01-01T01:00Z", time_zone=PARIS) == (
        'E-TIME-011 FILE:3 column "time": got a time +00:00, expected one without an offset as in FILE:2.\n'
        "Fix: write all times with an offset, or none."
    )


def test_several_offsets_need_the_zone_they_belong_to(path):
    times = ("2024-01-01T00:00+01:00", "2024-07-01T00:00+02:00")

    assert error_of(path, *times) == (
        'E-TIME-012 FILE:3 column "time": got a time +02:00, expected one +01:00 as in FILE:2.\n'
        "Fix: set time_zone to the zone whose clocks the times follow."
    )
    assert instants(path, *times, time_zone=PARIS) == ["2023-12-31 23:00:00", "2024-06-30 22:00:00"]


def test_missing_numbers_are_null_and_others_are_exact(path):
    cells = ("", "NaN", " NA ", "null", "-1e-3", "+2.5", " 7 ")

    rows, _ = read(path, *["2024-01-01"] * len(cells), values=cells)

    assert rows["value.value"].to_list() == [None, None, None, None, -0.001, 2.5, 7.0]


@pytest.mark.parametrize("cell", ["1,5,0", "1.234,56.7", "10 00", "12 kW", "１"])  # noqa: RUF001
def test_what_is_no_number_is_refused(path, cell):
    assert error_of(path, "2024-01-01", values=(cell,)) == (
        f'E-SER-001 FILE:2 column "value": got "{cell}", expected a number.\n'
        "Fix: write it with a decimal point, without separators or units, and leave cells of missing values empty."
    )


def test_the_setting_that_would_read_a_cell_is_named(path):
    assert error_of(path, "2024-01-01", values=("1,5",)).endswith('Fix: set decimal = ",".')
    assert error_of(path, "2024-01-01", values=("1,500",)) == (
        'E-SER-001 FILE:2 column "value": got "1,500", expected a number with a decimal point.\n'
        'Fix: set decimal = "," if it has a decimal comma, or thousands = "," if the comma parts thousands.'
    )
    assert error_of(path, "2024-01-01", values=("yes",)) == (
        'E-SER-001 FILE:2 column "value": got "yes", expected a number.\n'
        'Fix: if it means a missing value, list it: missing_values = ["yes"]; else write a number.'
    )


GROUPED = [
    ("1.234,5", {"decimal": ",", "thousands": "."}, 1234.5),
    ("-12.345.678", {"decimal": ",", "thousands": "."}, -12345678.0),
    ("1,234.5", {"thousands": ","}, 1234.5),
    ("1,234,567", {"thousands": ","}, 1234567.0),
    ("1 234.5", {"thousands": " "}, 1234.5),
    ("1\u202f234,5", {"thousands": " ", "decimal": ","}, 1234.5),
    ("1'234.5", {"thousands": "'"}, 1234.5),
]


@pytest.mark.parametrize(("cell", "stated", "number"), GROUPED)
def test_marks_between_thousands_are_refused_with_the_settings_that_read_them(path, cell, stated, number):
    fix = error_of(path, "2024-01-01", values=(cell,), decimal=stated.get("decimal", ".")).partition("Fix: ")[2]

    assert f'thousands = "{stated["thousands"]}"' in fix
    rows, _ = read(path, "2024-01-01", "2024-01-02", values=(cell, "7"), **stated)
    assert rows["value.value"].to_list() == [number, 7.0]


@pytest.mark.parametrize("cell", ["1,23", "0,123", "1234,567", "1,234,56", ",123"])
def test_marks_that_part_other_than_three_digits_are_refused(path, cell):
    assert error_of(path, "2024-01-01", values=(cell,), thousands=",") == (
        f'E-SER-001 FILE:2 column "value": got "{cell}", expected a number with groups of three digits between its '
        'marks ",".\nFix: correct it, or thousands and decimal if these are other marks.'
    )


def test_a_point_in_numbers_with_decimal_commas_is_never_dropped(path):
    fix = error_of(path, "2024-01-01", values=("1.234",), decimal=",").partition("Fix: ")[2]

    assert fix == 'set thousands = "." if the points part thousands, or decimal = "." if the point is decimal.'


def test_true_and_false_are_one_and_nothing_in_every_format(tmp_path):
    (tmp_path / "a.csv").write_text("time,value\n2024-01-01,True\n2024-01-02,false\n2024-01-03,2.5\n")
    lines = [f'{{"time": "2024-01-0{day}", "value": {cell}}}' for day, cell in ((1, "true"), (2, "false"), (3, "2.5"))]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    times = ["2024-01-01", "2024-01-02"]
    pl.DataFrame({"time": times, "value": [True, False]}).write_parquet(tmp_path / "a.parquet")

    for name, expected in (("a.csv", [1, 0, 2.5]), ("a.jsonl", [1, 0, 2.5]), ("a.parquet", [1, 0])):
        source = SeriesSource(path=str(tmp_path / name))
        rows = pl.concat(read_files(find_inputs(source).files, Intake(source), RowParser(source)))
        assert rows["value.value"].to_list() == expected


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e999", "-1e308"])
def test_infinite_and_enormous_numbers_are_refused(path, cell):
    assert error_of(path, "2024-01-01", values=(cell,)) == (
        f'E-SER-002 FILE:2 column "value": got "{cell}", expected a number of at most 1e+30.\n'
        "Fix: leave cells of missing values empty, or choose a larger unit."
    )


def test_a_number_that_often_stands_for_a_missing_one_must_be_declared(path):
    times, cells = ("2024-01-01", "2024-01-02"), ("5", "-9999.0")

    assert error_of(path, *times, values=cells) == (
        'E-SER-003 FILE:3 column "value": got "-9999.0", which often stands for a missing value.\n'
        "Fix: set sentinels to the list of such numbers, or to [] if all are values."
    )
    rows, parser = read(path, *times, values=cells, sentinels=[-9999])
    assert (rows["value.value"].to_list(), dict(parser.sentinels)) == ([5.0, None], {"value.value": 1})
    assert read(path, *times, values=cells, sentinels=[])[0]["value.value"].to_list() == [5.0, -9999.0]


def test_rows_with_a_fault_can_be_left_out(path):
    rows, _ = read(path, "2024-01-01", "x", "2024-01-03", values=("1", "2", "y"), on_bad_rows="skip")

    assert rows["time"].cast(pl.Datetime("us")).to_list() == [datetime(2024, 1, 1)]
