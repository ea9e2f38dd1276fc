"""What a history may lack, what is said of it, and why it is refused."""

from datetime import timedelta

import polars as pl
import pytest

from tasks.contract.table_model import Refusal
from tasks.errors import InputError
from tests.tasks.kinds.forecast.ramps import CHANNELS, FIRST_STEP, Steps, exact_forecaster, ramp

HOURS = Steps(frequency="1h")
NUMBERS = list(range(FIRST_STEP, FIRST_STEP + 12))
LAST = NUMBERS[-1]


def test_an_incomplete_last_row_is_left_out_and_said_where_such_rows_are_cut():
    history = ramp(HOURS, NUMBERS).with_columns(b=pl.when(pl.col("n") < LAST).then("b"))
    notes: list[str] = []

    forecasts = exact_forecaster(HOURS, missing="cut").answer_frame(history, notes=notes)

    assert forecasts["time"][0] == history["time"][-1]
    assert notes == [
        'left out rows that lack a number at the end of 1 series (encode.missing = "cut"), so that forecasts start '
        'earlier: "series" without its rows from 2024-03-31 07:00:00 on'
    ]


@pytest.mark.parametrize(("missing", "filled"), [("forward", "the last number before"), ("mean", "the training mean")])
def test_numbers_that_are_filled_in_are_counted(missing: str, filled: str):
    history = ramp(HOURS, NUMBERS).with_columns(b=pl.when(~pl.col("n").is_in([FIRST_STEP, LAST - 1, LAST])).then("b"))
    notes: list[str] = []

    exact_forecaster(HOURS, missing=missing).answer_frame(history, notes=notes)

    assert notes == [f"filled 2 missing numbers of look-backs with {filled}"]


def test_an_incomplete_row_in_the_look_back_is_named():
    history = ramp(HOURS, NUMBERS).with_columns(b=pl.when(pl.col("n") != LAST - 1).then("b"))

    with pytest.raises(InputError) as caught:
        exact_forecaster(HOURS, missing="cut").answer_frame(history)

    assert str(caught.value) == (
        'E-FOR-001 series "series" has 1 step without a gap up to 2024-03-31 07:00:00, expected at least 4; the '
        "row before them, of 2024-03-31 06:00:00, lacks a number.\n"
        "Fix: give more of its history, fill its gaps, or leave the series out."
    )


def long_rows(**levels: int) -> pl.DataFrame:
    """A table with a row per channel."""
    rows = ramp(HOURS, NUMBERS).select("time", **{name: pl.col("n") + level for name, level in levels.items()})
    return rows.unpivot(index="time", variable_name="channel").sort("time", maintain_order=True)


def test_rows_of_other_channels_are_left_out_and_said_whatever_is_in_them():
    rows = long_rows(a=0, b=1000, other=0).with_columns(pl.col("value").cast(pl.String))
    odd = rows.with_columns(value=pl.when(pl.col("channel") == "other").then(pl.lit("on")).otherwise("value"))
    forecaster, notes = exact_forecaster(HOURS, missing="error", channel_column="channel"), []

    forecasts = forecaster.answer_frame(odd, notes=notes)

    assert forecasts["channel"].unique(maintain_order=True).to_list() == ["a", "b"]
    assert notes == ['left out 12 rows of channels that the model never learned: "other"']


def test_a_channel_that_the_model_was_trained_on_must_be_there():
    forecaster = exact_forecaster(HOURS, missing="forward", channel_column="channel")

    with pytest.raises(InputError) as caught:
        forecaster.answer_frame(long_rows(a=0, other=0))
    with pytest.raises(InputError) as nothing:
        forecaster.answer_frame(long_rows(A=0, B=0))

    assert str(nothing.value) == (
        'E-DATA-001 no rows are left: 24 of channels that the model never learned ("A", "B").\n'
        'Fix: name the channels as in training: "a", "b".'
    )
    assert str(caught.value) == (
        'E-FOR-004 channel "b" is missing, which the model was trained on.\n'
        "Fix: add what is missing, or name the channels as in training."
    )


def test_a_series_without_a_channel_is_told():
    table = pl.concat([long_rows(a=0, b=0).with_columns(id=pl.lit("x")), long_rows(a=0).with_columns(id=pl.lit("y"))])
    forecaster, notes = exact_forecaster(HOURS, missing="mean", channel_column="channel", id_column="id"), []

    forecaster.answer_frame(table, notes=notes)

    assert 'took the training mean for channels without any number in 1 series: "y" lacks "b"' in notes


@pytest.mark.parametrize(
    ("trained", "given", "said", "remedy"),
    [
        (
            HOURS,
            Steps(frequency="1h", clock="utc", zone="UTC"),
            "instants, .* expected times without",
            "without an off",
        ),
        (Steps(frequency="1h", clock="utc"), HOURS, "times without a zone, expected instants", "with its offset"),
        (Steps(frequency="1", clock="step"), HOURS, "times without a zone, expected plain steps", "the number"),
    ],
)
def test_times_of_another_clock_are_refused(trained: Steps, given: Steps, said: str, remedy: str):
    with pytest.raises(InputError, match=rf'^E-FOR-003 column "time": times are {said}(.|\n)*Fix: .*{remedy}'):
        exact_forecaster(trained, missing="error").answer_frame(ramp(given, NUMBERS))


@pytest.mark.parametrize("frequency", ["30m", "2h", "1d"])
def test_another_step_than_in_training_is_refused_with_both(frequency: str):
    with pytest.raises(InputError) as caught:
        exact_forecaster(HOURS, missing="error").answer_frame(ramp(Steps(frequency=frequency), NUMBERS))

    assert str(caught.value) == (
        f'E-FOR-005 series "series" has steps of {frequency}, expected 1h as in training.\n'
        "Fix: give a row for each step of 1h, or leave the series out."
    )


def panel(**histories: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(history.with_columns(id=pl.lit(name)) for name, history in histories.items())


def test_series_that_cannot_be_forecast_leave_the_others_alone():
    whole = ramp(HOURS, NUMBERS)
    late = ramp(HOURS, NUMBERS, phase=timedelta(minutes=20))
    gappy = whole.filter(pl.col("n") != LAST - 1)
    rows = panel(a=whole, b=whole.tail(2), c=late, d=gappy, e=ramp(Steps(frequency="2h"), NUMBERS)).drop("n")
    forecaster = exact_forecaster(HOURS, missing="error", id_column="id")
    canonical = rows.rename({"id": "series", **{name: f"value.{name}" for name in CHANNELS}})
    refusals: list[Refusal] = []

    forecasts = forecaster.forecast_rows(canonical, refusals)

    assert [(one.series, one.error.code) for one in refusals] == [
        ("b", "E-FOR-001"), ("d", "E-FOR-001"), ("e", "E-FOR-005"),
    ]  # fmt: skip
    begins = forecasts.filter(step=1, channel="a").select("series", pl.col("time").dt.strftime("%H:%M"), "forecast")
    assert begins.rows() == [("a", "08:00", LAST + 1), ("c", "08:20", LAST + 1)]
    with pytest.raises(InputError, match="E-FOR-001"):
        forecaster.forecast_rows(canonical)
    with pytest.raises(InputError, match="E-FOR-001"):
        forecaster.forecast_rows(canonical.filter(series="b"), [])


def test_where_gaps_are_an_error_a_history_may_have_none():
    history = ramp(HOURS, NUMBERS).filter(pl.col("n") != FIRST_STEP + 2)
    forecaster = exact_forecaster(HOURS, missing="error", gaps="error")

    with pytest.raises(InputError) as caught:
        forecaster.answer_frame(history)

    assert str(caught.value) == (
        'E-TIME-016 got 2024-03-30 23:00:00 after 2024-03-30 21:00:00 in series "series", expected a step of 1h.\n'
        "Fix: fill in the rows, or give only those that follow."
    )


def test_the_model_that_mlflow_serves_warns_of_what_was_done_to_its_rows():
    from tasks.panel.served_model import ServedPanelModel

    served = ServedPanelModel()
    served.model = exact_forecaster(HOURS, missing="cut", channel_column="channel")

    with pytest.warns(UserWarning, match='never learned: "other"'):
        forecasts = served.predict(None, long_rows(a=0, b=1000, other=5000).to_pandas())

    assert forecasts["forecast"][:2].tolist() == pytest.approx([LAST + 1, LAST + 1001], abs=0.01)
