"""Frames become files of a source under their content, whatever made them."""

import datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from tasks.errors import InputError
from tasks.kinds.classify.ingest import row_check
from tasks.kinds.classify.source import SourceSettings
from tasks.sources.first_rows import read_first_rows
from tasks.sources.frames import as_polars, save_frame

ROWS = {"text": ["good film", "bad film"], "label": ["pos", "neg"]}


def test_equal_rows_are_one_file_and_other_rows_are_another(project: Path):
    path = save_frame(pl.DataFrame(ROWS))

    assert path.parent == project / "data" / "frames"
    assert save_frame(pd.DataFrame(ROWS)) == path
    assert save_frame(pl.DataFrame(ROWS).reverse()) != path
    assert sorted(path.parent.iterdir()) == sorted({path, save_frame(pl.DataFrame(ROWS).reverse())})


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["neg", "pos"])])
def test_a_source_reads_what_was_saved(kind: pl.DataType):
    path = save_frame(pl.DataFrame(ROWS, schema_overrides={"label": kind}))
    source = SourceSettings(path=str(path))

    rows = read_first_rows(source, row_check(source))

    assert rows["label"].to_list() == ["pos", "neg"]


def test_no_limit_on_what_a_file_may_expand_to_is_met_by_rows_that_repeat():
    path = save_frame(pl.DataFrame({"text": ["the same words " * 20] * 20_000, "label": ["a"] * 20_000}))

    assert path.stat().st_size > 20_000 * 300


def test_a_named_index_of_pandas_becomes_columns_and_numbers_of_rows_do_not():
    hours = pd.date_range("2024-01-01", periods=2, freq="h", name="time")

    assert as_polars(pd.DataFrame({"load": [1.0, 2.0]}, index=hours)).rows() == [
        (datetime.datetime(2024, 1, 1, 0), 1.0),
        (datetime.datetime(2024, 1, 1, 1), 2.0),
    ]
    assert as_polars(pd.DataFrame(ROWS).iloc[::-1]).columns == ["text", "label"]


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (pl.LazyFrame(ROWS), 'got "LazyFrame", expected a DataFrame of Polars or pandas.'),
        (ROWS, 'got "dict", expected a DataFrame of Polars or pandas.'),
        (pd.Series([1, 2]), 'got "Series", expected a DataFrame of Polars or pandas.'),
        (pl.DataFrame({"text": [["a", "b"]]}), "holds List(String), expected plain values."),
        (pd.DataFrame({"x": [1.0]}, index=pd.to_datetime(["2024-01-01"])), "the index has no name, and does not"),
        (pd.DataFrame({"x": ["a", 1, None]}), "cannot be read as a table:"),
    ],
    ids=["lazy", "dict", "series", "nested", "unnamed index", "mixed"],
)
def test_what_is_no_table_of_plain_columns_is_refused(frame: object, problem: str):
    with pytest.raises(InputError, match="E-SRC-014") as refused:
        save_frame(frame)

    assert problem in refused.value.problem
