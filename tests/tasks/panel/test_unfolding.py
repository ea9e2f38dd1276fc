"""Tables in which a column, or a row, is a whole series: read as a table with a row per series and time."""

import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.kinds.classify_series.ingest import write_rows as write_sequences
from tasks.kinds.classify_series.source import SequenceSource
from tasks.panel.source import SeriesSource
from tasks.panel.source_tables import to_source_table, write_source_table
from tasks.sources.inputs import find_inputs
from tests.tasks.panel import reading
from tests.tasks.panel.reading import error_of

DAYS = [datetime(2024, 1, 1) + timedelta(days=day) for day in range(4)]


def read(path: Path, text: str = "", **stated: object) -> list[tuple]:
    return reading.read(path, text, **stated).drop("row").rows()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.csv"


COLUMNS = "day,north,south\n2024-01-01,1,\n2024-01-02,2,5\n2024-01-03,,6\n2024-01-04,4,\n"
PER_COLUMN = [("north", DAYS[0], 1.0), ("north", DAYS[1], 2.0), ("north", DAYS[2], None), ("north", DAYS[3], 4.0)]
PER_COLUMN += [("south", DAYS[1], 5.0), ("south", DAYS[2], 6.0)]


def test_each_column_is_a_series_from_its_first_to_its_last_number(path):
    stated = {"layout": "series_per_column", "time_columns": "day"}

    assert read(path, COLUMNS, **stated) == PER_COLUMN
    assert read(path, **stated, value_columns="south") == PER_COLUMN[4:]
    typed = pl.read_csv(path, try_parse_dates=True)
    typed.write_parquet(path.with_suffix(".parquet"))
    assert read(path.with_suffix(".parquet"), **stated) == PER_COLUMN
    typed.with_columns(pl.col("day").cast(pl.String)).write_ndjson(path.with_suffix(".jsonl"))
    assert read(path.with_suffix(".jsonl"), **stated) == PER_COLUMN


def test_columns_known_in_advance_belong_to_every_series(path):
    text = "day,north,south,works\n2024-01-01,1,2,0\n2024-01-02,3,,1\n2024-01-03,,,1\n"

    rows = read(path, text, layout="series_per_column", time_columns="day", covariate_columns=["works"])

    assert [row[0] for row in rows] == ["north"] * 3 + ["south"] * 3
    assert [row[3] for row in rows] == [0.0, 1.0, 1.0] * 2


def test_each_row_is_a_series_that_ends_with_its_last_number(path):
    text = "id,V1,V2,V3,V4\na,1,2,3,4\nb,5,NA,6,\n"

    rows = read(path, text, layout="series_per_row", time_unit="order", id_columns="id")

    assert rows == [
        ("a", 0, 1.0),
        ("a", 1, 2.0),
        ("a", 2, 3.0),
        ("a", 3, 4.0),
        ("b", 0, 5.0),
        ("b", 1, None),
        ("b", 2, 6.0),
    ]


def test_a_row_may_say_when_its_series_starts(path):
    text = "id,start,V1,V2,V3\na,2020-01-31,1,2,3\nb,2019-10-31,4,5,\n"

    rows = read(path, text, layout="series_per_row", time_columns="start", frequency="1mo", id_columns="id")

    assert [(series, f"{time:%Y-%m-%d}") for series, time, _ in rows] == [
        ("a", "2020-01-31"), ("a", "2020-02-29"), ("a", "2020-03-31"), ("b", "2019-10-31"), ("b", "2019-11-30"),
    ]  # fmt: skip


def test_the_header_may_hold_the_times(path):
    text = "country,code,1960,1961,1962\nA,a,1,2,3\nB,b,,5,6\n"
    stated = {"layout": "series_per_row", "time_columns": [], "time_format": "%Y", "id_columns": ["country", "code"]}

    rows = read(path, text, **stated)

    assert [(series, time.year, number) for series, time, number in rows] == [
        ("A/a", 1960, 1.0), ("A/a", 1961, 2.0), ("A/a", 1962, 3.0), ("B/b", 1961, 5.0), ("B/b", 1962, 6.0),
    ]  # fmt: skip


def test_a_cell_at_fault_is_named_by_its_own_column(path):
    error = error_of(
        path, "day,north,south\n2024-01-01,1,2\n2024-01-02,3,x\n", layout="series_per_column", time_columns="day"
    )

    assert (error.code, error.row, error.column) == ("E-SER-001", 3, "south")


def test_a_wide_table_of_parquet_may_lie_in_an_archive(tmp_path, path):
    path.write_text(COLUMNS)
    pl.read_csv(path, try_parse_dates=True).write_parquet(tmp_path / "a.parquet")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.parquet", "a.parquet")

    assert read(tmp_path / "a.zip", layout="series_per_column", time_columns="day") == PER_COLUMN


def test_an_id_that_occurs_twice_is_refused(path):
    error = error_of(path, "id,V1,V2\na,1,2\na,3,4\n", layout="series_per_row", time_unit="order", id_columns="id")

    assert error.code == "E-TIME-013"
    assert 'got 0 after 1 in series "a"' in error.problem


@pytest.mark.parametrize("text", ["day\n2024-01-01\n", ",day,north\n0,2024-01-01,1\n"])
def test_a_wide_table_needs_columns_with_names(path, text):
    error = error_of(path, text, layout="series_per_column", time_columns="day")

    assert error.code == "E-SER-014"
    assert error.fix == "list the columns of numbers in value_columns, or correct layout."


def test_sequences_stand_in_rows_with_their_label(tmp_path):
    path = tmp_path / "gestures.tsv"
    path.write_text("label\tt0\tt1\tt2\nup\t1\t2\t3\ndown\t3\t2\t\nup\t1\t2\t4\ndown\t4\t2\t1\n")
    source = SequenceSource(path=str(path), layout="series_per_row", time_unit="order")
    inputs = find_inputs(source)

    write_sequences(tmp_path, settings=source, inputs=inputs, digest=inputs.digest())

    rows = pl.read_parquet(tmp_path / "rows.parquet")
    assert rows.select("series", "label", "length").rows() == [
        ("1", "up", 3),
        ("2", "down", 2),
        ("3", "up", 3),
        ("4", "down", 3),
    ]
    assert rows["value.value"][1].to_list() == [3.0, 2.0]


IN_COLUMNS, IN_ROWS = {"layout": "series_per_column"}, {"layout": "series_per_row"}
WIDE = [
    ("day,north,south\n2024-01-01,1,\n2024-01-02,2,5\n2024-01-03,,6\n", IN_COLUMNS),
    ("day,value\n2024-01-01,1\n2024-01-02,2\n", IN_COLUMNS),
    ("day,a,b\n2024-01-01,1,3\n2024-01-02,2,4\n", {**IN_COLUMNS, "value_columns": ["a", "b"]}),
    ("day,a,works\n2024-01-01,1,0\n2024-01-02,2,1\n", {**IN_COLUMNS, "covariate_columns": ["works"]}),
    ("north,south\n1,2\n2,5\n,6\n", {**IN_COLUMNS, "time_unit": "order"}),
    ("id,V1,V2,V3\na,1,2,3\nb,5,NA,6\n", {**IN_ROWS, "time_unit": "order"}),
    ("id,V1,V2,V3\na,1,2,3\nb,5,6,\n", {**IN_ROWS, "time_unit": "order", "value_columns": ["V1", "V2", "V3"]}),
    ("a;1,5;2\nb;5;6\n", {**IN_ROWS, "time_unit": "order", "columns": ["id", "V1", "V2"], "decimal": ","}),
    ("id,day,V1,V2\na,2020-01-31,1,2\nb,2019-10-31,4,5\n", {**IN_ROWS, "frequency": "1mo"}),
    ("id,1960,1961,1962\na,1,2,3\nb,,5,6\n", {**IN_ROWS, "time_columns": [], "time_format": "%Y"}),
    ("id,2024-01-01,2024-01-02\na,1,2\nb,3,5\n", {**IN_ROWS, "time_columns": [], "time_zone": "Asia/Tokyo"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "stated"), WIDE)
def test_what_is_written_in_the_layout_of_a_source_is_read_as_the_same_series(path, text, stated):
    needed = {"id_columns": "id"} if stated["layout"] == "series_per_row" else {}
    needed |= {} if stated.get("time_unit") == "order" else {"time_columns": "day"}
    path.write_text(text)
    source = SeriesSource(path=str(path), **needed | stated)
    expected = read(path, **needed | stated)
    rows = pl.read_parquet(path.parent / "rows.parquet")
    for series in (rows, rows.filter(series=rows["series"][-1])):
        write_source_table(path, to_source_table(series, source), source)

        assert read(path, **needed | stated) == [row for row in expected if row[0] in series["series"].to_list()]


CELLS = st.lists(st.one_of(st.none(), st.integers(-9, 9)), min_size=3, max_size=12)


@settings(max_examples=40, deadline=None)
@given(series=st.lists(CELLS, min_size=1, max_size=5), order=st.booleans())
def test_columns_and_rows_hold_the_same_series(tmp_path_factory, series, order):
    """In either layout a series is its numbers with the holes between them."""
    folder = tmp_path_factory.mktemp("wide")
    series = [[0, *cells, 0] for cells in series]
    height = max(map(len, series))
    shown = [
        ["" if cell is None else str(cell) for cell in [*cells, *[None] * (height - len(cells))]] for cells in series
    ]
    names = [f"s{number}" for number in range(len(series))]
    times = [f"{DAYS[0] + timedelta(days=day):%Y-%m-%d}" for day in range(height)]
    columns = [
        ",".join(["day", *names]),
        *(",".join([time, *cells]) for time, *cells in zip(times, *shown, strict=True)),
    ]
    rows = [",".join(["id", *times]), *(",".join([name, *cells]) for name, cells in zip(names, shown, strict=True))]
    (folder / "columns.csv").write_text("\n".join([*columns, ""]))
    (folder / "rows.csv").write_text("\n".join([*rows, ""]))
    stated = {"time_unit": "order"} if order else {"time_columns": []}

    as_rows = read(folder / "rows.csv", layout="series_per_row", id_columns="id", **stated)

    expected = [
        (name, time if order else DAYS[0] + timedelta(days=time), None if cell is None else float(cell))
        for name, cells in zip(names, series, strict=True)
        for time, cell in enumerate(cells)
    ]
    assert as_rows == expected
    if not order:
        assert read(folder / "columns.csv", layout="series_per_column", time_columns="day") == expected
