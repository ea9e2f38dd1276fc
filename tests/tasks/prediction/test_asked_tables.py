"""Tables that are read in one go hold what each holds alone, or are not read in one go."""

import polars as pl
import pytest

from tasks.panel.served_table import read_some
from tasks.prediction.asked_tables import read_together
from tests.tasks.kinds.forecast.ramps import Steps, exact_forecaster, ramp

HOURS = Steps(frequency="1h")


def history(first: int, **ids: str) -> pl.DataFrame:
    rows = ramp(HOURS, range(first, first + 6)).drop("n")
    return rows.with_columns(
        pl.col("time").dt.to_string("iso:strict"), *(pl.lit(ids[name]).alias(name) for name in ids)
    )


def panel(first: int, *names: str) -> pl.DataFrame:
    return pl.concat([history(first + number, shop=name) for number, name in enumerate(names)])


@pytest.mark.parametrize(
    ("ids", "tables"),
    [
        (("shop",), [panel(92, "b", "a"), panel(95, "a"), panel(93, "10", "2", "é ", "b")]),
        (("shop", "item"), [history(92, shop="a", item="b"), history(93, shop="b", item="c")]),
        ((), [history(92), history(99)]),
        (("shop",), [panel(92 + number, f"s{number}") for number in range(12)]),
    ],
)  # fmt: skip
def test_each_table_comes_out_as_if_it_were_read_alone(ids: tuple[str, ...], tables: list[pl.DataFrame]):
    forecaster = exact_forecaster(HOURS, missing="error", id_columns=ids)

    together = read_together(forecaster, tables)

    assert together is not None
    alone = [read_some(forecaster, table) for table in tables]
    assert [read().rows.drop("row").to_dict(as_series=False) for read in together] == [
        read.rows.drop("row").to_dict(as_series=False) for read in alone
    ]
    assert [read().said for read in together] == [read.said for read in alone] == [[]] * len(tables)


PLAIN = panel(92, "a")


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.with_columns(shop=pl.lit("a/b")),
        PLAIN.with_columns(shop=pl.lit(7)),
        PLAIN.with_columns(note=pl.lit("x")),
        PLAIN.with_columns(pl.col("time") + "+00:00"),
        PLAIN.with_columns(a=pl.lit(-999.0)),
        PLAIN.with_columns(shop=pl.lit(None, pl.String)),
        PLAIN.reverse(),
        PLAIN.drop("a"),
    ],
)
def test_where_anything_is_to_be_said_of_a_row_tables_are_read_one_by_one(other: pl.DataFrame):
    forecaster = exact_forecaster(HOURS, missing="error", id_columns=("shop",))

    assert read_together(forecaster, [PLAIN, other]) is None
    assert read_together(forecaster, [PLAIN]) is None


def test_rows_that_are_merged_are_said_of_their_table_alone():
    forecaster = exact_forecaster(HOURS, missing="error", id_columns=("shop",), duplicates="last")

    assert read_together(forecaster, [panel(92, "b"), pl.concat([PLAIN, PLAIN.tail(1)])]) is None
