"""Series named by several columns, times in two columns, and numbers as spreadsheets of other countries write them."""

import json
from datetime import datetime, time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.errors import InputError
from tasks.kinds.classify_series.source import SequenceSource
from tasks.kinds.detect.source import DetectionSource
from tasks.kinds.forecast.ingest import write_rows
from tasks.panel.names import join_names, split_name
from tasks.panel.source import SeriesSource
from tasks.panel.source_tables import to_source_table, write_source_table
from tasks.sources.inputs import find_inputs

PART = st.text(alphabet="ab/\\ $1", min_size=1, max_size=4)


def read(folder: Path, **settings) -> tuple[pl.DataFrame, dict]:
    source = SeriesSource(**settings)
    inputs = find_inputs(source)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    summary = dict(write_rows(out, settings=source, inputs=inputs, digest=inputs.digest()))
    return pl.read_parquet(out / "rows.parquet"), summary


@settings(max_examples=50, deadline=None)
@given(parts=st.lists(st.tuples(PART, PART, PART), min_size=1, max_size=8, unique=True))
def test_different_parts_have_different_names_and_come_back(parts):
    table = pl.DataFrame(parts, schema=["a", "b", "c"], orient="row")

    names = table.select(join_names(["a", "b", "c"])).to_series()

    assert names.n_unique() == len(parts)
    assert [split_name(name, 3) for name in names] == parts
    assert table.select(join_names(["a"])).to_series().to_list() == [split_name(a, 1)[0] for a, _, _ in parts]


def test_two_columns_name_a_series_and_are_given_back(tmp_path):
    cells = [f"2024-01-{day:02},{store},{item},{day}" for store in "NS" for item in ("bread", "tea") for day in (1, 2)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["time,store,item,value", *cells, ""]))
    columns = {"path": str(path), "id_columns": ["store", "item"]}

    rows, _ = read(tmp_path, **columns)

    assert rows["series"].unique(maintain_order=True).to_list() == ["N/bread", "N/tea", "S/bread", "S/tea"]
    table = to_source_table(rows, SeriesSource(**columns))
    assert table.columns == ["store", "item", "time", "value"]
    assert table.select("store", "item").rows()[::2] == [(store, item) for store in "NS" for item in ("bread", "tea")]
    path.write_text("time,store,item,value\n2024-01-01,N,,1\n")
    with pytest.raises(InputError, match=r'^E-SER-004 .*a.csv:2 column "item": got no id'):
        read(tmp_path, **columns)


@pytest.mark.parametrize("kind", [SeriesSource, DetectionSource, SequenceSource])
def test_the_earlier_spelling_of_id_columns_stays_valid(kind):
    for given_as in ({"id_column": "a"}, {"id_columns": "a"}, {"id_columns": ["a"]}, {"id_column": ["a"]}):
        assert kind(path="x.csv", **given_as).id_columns == ("a",)
    both = kind(path="x.csv", id_column="a", id_columns=["a", "b"])
    assert both.id_columns == ("a", "b")
    assert kind.model_validate(json.loads(both.model_dump_json())) == both
    with pytest.raises(ValidationError, match="the two differ"):
        kind(path="x.csv", id_column="a", id_columns=["b", "c"])


def test_a_date_and_a_time_of_day_are_read_from_two_columns_and_written_to_two(tmp_path):
    path = tmp_path / "a.csv"
    cells = [f"{day}/05/2023;{hour}:15 PM;{day}" for day in (3, 4) for hour in ("01", "02")]
    path.write_text("\n".join(["Date;Time;value", *cells, ""]))
    columns = {"path": str(path), "delimiter": ";", "time_column": "Date", "time_of_day_column": "Time"}
    columns |= {"time_format": "%d/%m/%Y %I:%M %p", "time_zone": "Europe/Berlin"}
    source = SeriesSource(**columns)

    rows, _ = read(tmp_path, **columns)

    assert rows["time"].dt.replace_time_zone(None).to_list()[:2] == [
        datetime(2023, 5, 3, 11, 15),
        datetime(2023, 5, 3, 12, 15),
    ]
    write_source_table(tmp_path / "b.csv", to_source_table(rows, source), source)
    again, _ = read(tmp_path, **columns | {"path": str(tmp_path / "b.csv")})
    assert again.equals(rows)
    with pytest.raises(ValidationError, match="time_format reads the cells of all time_columns"):
        SeriesSource(**columns | {"time_format": "%d/%m/%Y"})


@pytest.mark.parametrize("delimiter", [None, ";", "\t"])
def test_a_table_is_written_in_the_form_in_which_its_source_is_read(tmp_path, delimiter):
    columns = {"path": str(tmp_path / "a.csv"), "delimiter": delimiter, "decimal": ",", "encoding": "cp1252"}
    source = SeriesSource(**columns, value_columns=["Größe"], id_columns=["a", "b"])
    times = [datetime(2024, 1, 1), datetime(2024, 1, 2)]
    rows = pl.DataFrame({"series": ["é/b;,c"] * 2, "time": times, "value.Größe": [1.5, None]})

    write_source_table(tmp_path / "a.csv", to_source_table(rows, source), source)

    again, _ = read(tmp_path, **columns, value_columns=["Größe"], id_columns=["a", "b"])
    assert again.drop("row").equals(rows)


def test_a_date_of_a_typed_table_is_joined_with_its_time_of_day(tmp_path):
    day = datetime(2024, 1, 1)
    table = pl.DataFrame({"date": [day, day], "time": ["01:00", "02:00:30"], "value": [1.5, 2.5]})
    table.write_parquet(tmp_path / "a.parquet")
    clocks = table.with_columns(pl.col("date").cast(pl.Date), time=pl.Series([time(1), time(2, 0, 30)]))
    clocks.write_parquet(tmp_path / "b.parquet")

    for name in ("a.parquet", "b.parquet"):
        columns = {"time_column": "date", "time_of_day_column": "time", "frequency": "30s"}
        rows, _ = read(tmp_path, path=str(tmp_path / name), **columns)
        assert rows["time"].to_list() == [datetime(2024, 1, 1, 1), datetime(2024, 1, 1, 2, 0, 30)]


def test_texts_that_mean_nothing_and_decimal_commas_are_read_by_settings(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("\ufefftime;value;;\r\n2024-01-01;1,436;;\r\n2024-01-02;?;;\r\n2024-01-03;-,5e1;;\r\n;;;\r\n;;;")
    columns = {"path": str(path), "delimiter": ";"}

    with pytest.raises(InputError, match=r'^E-SER-001 .*a.csv:2 column "value": .*\nFix: set decimal = ","'):
        read(tmp_path, **columns)
    with pytest.raises(InputError, match=r'^E-SER-001 .*a.csv:3 .*\n.* missing_values = \["\?"\]'):
        read(tmp_path, **columns, decimal=",")
    rows, summary = read(tmp_path, **columns, decimal=",", missing_values=["?"])
    assert rows["value.value"].to_list() == [1.436, None, -5.0]
    assert summary["warnings"] == ["blank lines skipped: 2", '1 missing value in "value"']


def test_with_a_decimal_comma_a_point_is_refused_in_texts_and_no_matter_in_numbers(tmp_path):
    (tmp_path / "a.csv").write_text('time,value\n2024-01-01,1.436\n2024-01-02,"2,5"\n')
    records = [{"time": f"2024-01-0{day}", "value": value} for day, value in ((1, 1.5), (2, "2,5"), (3, -3e-7))]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    pl.DataFrame({"time": ["2024-01-01", "2024-01-02"], "value": [1.5, 2e-9]}).write_parquet(tmp_path / "a.parquet")

    with pytest.raises(InputError, match=r'got "1[.]436", expected a number with a decimal comma'):
        read(tmp_path, path=str(tmp_path / "a.csv"), decimal=",")
    assert read(tmp_path, path=str(tmp_path / "a.jsonl"), decimal=",")[0]["value.value"].to_list() == [1.5, 2.5, -3e-7]
    assert read(tmp_path, path=str(tmp_path / "a.parquet"), decimal=",")[0]["value.value"].to_list() == [1.5, 2e-9]


@settings(max_examples=20, deadline=None)
@given(
    written=st.lists(
        st.sampled_from(["Orl\u00e9ans", "Orle\u0301ans", "Orl\u00e9\u200bans", "\ufeffOrl\u00e9ans"]),
        min_size=4,
        max_size=9,
    ),
    column=st.sampled_from(["id", "channel"]),
)
def test_names_that_no_eye_can_tell_apart_name_one_series_or_channel(tmp_path_factory, written, column):
    folder = tmp_path_factory.mktemp("names")
    path = folder / "a.csv"
    lines = [f"2024-01-{day:02},{name},{day}" for day, name in enumerate(written, start=1)]
    path.write_text("\n".join([f"time,{column},value", *lines, ""]))

    rows, summary = read(folder, path=str(path), **{"id": {"id_columns": "id"}}.get(column, {"channel_column": column}))

    values = rows["value.value" if column == "id" else "value.Orl\u00e9ans"].to_list()
    assert values == list(range(1, len(written) + 1))
    assert (summary["rows"], summary["series"], len(summary["channels"])) == (len(written), 1, 1)


def test_a_file_that_names_a_series_is_known_in_any_unicode_form(tmp_path):
    path = tmp_path / "e\u0301.csv"
    path.write_text("time,value\n2024-01-01,1\n2024-01-02,2\n")

    rows, _ = read(tmp_path, path=str(path), one_series_per_file=True)

    assert rows["series"].unique().to_list() == ["\u00e9.csv"]
