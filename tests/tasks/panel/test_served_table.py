"""A table handed to a registered model means what its file would, whatever types pandas gave it."""

import datetime
import io

import pandas
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.panel.served_table import read_cells, stored_table
from tasks.panel.source import SeriesSource

COLUMNS = {"id": "station", "time": "day", "value count": "count"}
DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]


def read(**columns: object) -> pl.DataFrame:
    table = {"station": ["101", "101", "102"], "day": DAYS, "count": [1.0, 2.0, 3.0], **columns}
    return read_cells(pandas.DataFrame(table), COLUMNS)


@pytest.mark.parametrize(
    "ids",
    [
        [101, 101, 102],
        pandas.array([101, 101, 102], dtype="Int64"),
        ["101", "101", "102"],
        pandas.Categorical(["101", "101", "102"]),
        pandas.Series([101, "101", 102.0], dtype=object),
    ],
)
def test_ids_are_spelled_as_a_file_spells_them(ids):
    assert read(station=ids)["station"].to_list() == ["101", "101", "102"]


def test_whole_numbers_that_became_floats_for_want_of_one_are_spelled_without_a_point():
    assert read(station=[101.0, None, 102.0])["station"].to_list() == ["101", None, "102"]
    assert read(station=[1.5, 2.0, None])["station"].to_list() == ["1.5", "2.0", None]
    assert read(day=[1.0, 2.0, 3.0])["day"].to_list() == [1, 2, 3]


@pytest.mark.parametrize("values", [[1, 2, 3], [1.0, 2.0, 3.0], pandas.array([1, 2, 3], dtype="Int32")])
def test_values_are_floats(values):
    counts = read(count=values)["count"]

    assert (counts.dtype, counts.to_list()) == (pl.Float64, [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    "days",
    [
        [datetime.date.fromisoformat(day) for day in DAYS],
        pandas.to_datetime(DAYS),
        pandas.PeriodIndex(DAYS, freq="D"),
        [pandas.Timestamp(DAYS[0]), DAYS[1], datetime.date(2024, 1, 3)],
    ],
)
def test_dates_may_be_dates_or_times(days):
    read_days = read(day=days)["day"]

    assert [str(day)[:10] for day in read_days] == DAYS


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({"station": [True, False, True]}, 'E-REG-013 column "station": holds Boolean, expected texts or whole'),
        ({"count": pandas.to_datetime(DAYS)}, 'E-REG-013 column "count": holds Datetime'),
        ({"day": [True, False, True]}, 'E-REG-013 column "day": holds Boolean, expected times, texts or numbers.'),
        ({"station": [2.0**60, 1.0, None]}, 'E-REG-014 column "station": contains floats as large as 1.15292e+18'),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_column(columns, shown):
    with pytest.raises(InputError) as caught:
        read(**columns)

    assert str(caught.value).startswith(shown)


def test_a_missing_or_repeated_column_is_named_with_those_there_are():
    table = pandas.DataFrame({"station": [1], "day": DAYS[:1], "Count": [1]})
    with pytest.raises(InputError) as caught:
        read_cells(table, COLUMNS)
    assert str(caught.value) == (
        'E-REG-012 column "count": is missing; the table has "station", "day", "Count".\n'
        "Fix: give the table the columns station, day, count."
    )
    with pytest.raises(InputError, match='E-REG-012 column "day": is repeated'):
        read_cells(pandas.concat([table, table["day"]], axis=1), COLUMNS)
    with pytest.raises(InputError, match="E-SRC-004 the table has no rows"):
        read_cells(pandas.DataFrame({"station": [], "day": [], "count": []}), COLUMNS)


def test_only_times_that_are_times_need_no_rule():
    source = SeriesSource(
        path="x", id_column="station", time_column="day", value_columns=["count"], time_format="%d.%m"
    )
    table = pandas.DataFrame({"station": [1], "day": ["01.02"], "count": [1]})

    with stored_table(table, source) as (_, time):
        assert not time.is_temporal()
    with stored_table(table.assign(day=pandas.Timestamp(2024, 1, 2)), source) as (_, time):
        assert time.is_temporal()


def test_other_columns_go_along_as_far_as_they_are_plain():
    cells = read(item=["a", "b", "c"], nested=[[1], [2], [3]], mixed=["a", 1, None])

    assert cells.columns == ["station", "day", "count", "item", "nested", "mixed"]
    assert cells["mixed"].to_list() == ["a", "1", None]


@settings(max_examples=50, deadline=None, database=None)
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1, max_size=5),
    ids=st.lists(st.integers(0, 10**15), min_size=1, max_size=5),
)
def test_numbers_pass_unchanged_and_ids_as_the_file_spells_them(values, ids):
    rows = [(ids[i % len(ids)], DAYS[0], value) for i, value in enumerate(values)]
    table = pandas.DataFrame(rows, columns=["station", "day", "count"])
    from_file = pandas.read_csv(io.StringIO(table.to_csv(index=False)))

    for one in (table, from_file, table.astype({"station": str})):
        cells = read_cells(one, COLUMNS)
        assert cells["count"].to_list() == values
        assert cells["station"].to_list() == [str(row[0]) for row in rows]
        assert cells["count"].cast(pl.String).cast(pl.Float64).to_list() == values  # what the reader of Parquet does
