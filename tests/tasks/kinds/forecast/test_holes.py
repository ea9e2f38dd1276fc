"""Series with regular holes, and rows that are steps by their order: trained on whole, and continued where they end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tasks.contract.lineage import Lineage
from tasks.encode import encode
from tasks.errors import InputError
from tasks.ingest import ingest
from tasks.kinds.forecast.backtesting import plan_cutoffs
from tasks.kinds.forecast.encode import ScaleSettings
from tasks.kinds.forecast.fitting_windows import propose_windows
from tasks.kinds.forecast.forecaster import SeriesForecaster
from tasks.kinds.forecast.holdout import read_holdout
from tasks.kinds.forecast.monitor import tabulate_validation
from tasks.kinds.forecast.recipe import FORECAST
from tasks.kinds.forecast.shard import WindowSettings
from tasks.kinds.forecast.split import TimeSplitSettings
from tasks.kinds.forecast.summaries import WindowsSummary
from tasks.panel.frames import SPLITS
from tasks.panel.inferred_grid import infer_grid, spanning
from tasks.panel.served_table import read_some
from tasks.panel.source import SeriesSource
from tasks.prediction.asked_tables import TableQuestion, read_together
from tasks.shard import shard
from tasks.sources.inputs import find_inputs
from tasks.split import split
from tests.tasks.kinds.forecast.ramps import CHANNELS, HORIZON, LEVELS, LOOK_BACK, Steps, exact_forecaster

MONDAY = datetime(2021, 1, 4)
SPAN = {"frequency": "1bd", "gaps": "span"}


def prices(count: int) -> pl.DataFrame:
    """A number on each day from Monday to Friday, except for a holiday every five weeks."""
    days = (MONDAY + timedelta(days=day) for day in range(2 * count + 30))
    days = [day for day in days if day.weekday() < 5 and (day - MONDAY).days % 35 != 2][:count]
    return pl.DataFrame({"time": days}).with_row_index("n").with_columns(pl.col("n").cast(pl.Float64).alias("value"))


@pytest.fixture
def prepare(project: Path) -> Callable[..., Lineage]:
    """Take prices through the data stages: `prepare(windows, **source)`."""

    def prepare(windows: WindowSettings, **source: object) -> Lineage:
        prices(300).drop("n").write_csv(project / "prices.csv")
        rows = ingest.fn(FORECAST, SeriesSource(path=str(project / "prices.csv"), **source))
        splits = split.fn(FORECAST, rows, TimeSplitSettings())
        encoded = encode.fn(FORECAST, splits, ScaleSettings(method="none"))
        return Lineage(rows=rows, splits=splits, encoded=encoded, shards=shard.fn(FORECAST, encoded, windows))

    return prepare


def test_without_a_setting_the_pattern_and_the_remedy_are_named_and_the_remedy_works(prepare):
    windows = WindowSettings(look_back=20, horizon=5)

    with pytest.raises(InputError) as caught:
        prepare(windows)

    assert caught.value.code == "E-SER-012"
    assert "steps of 1d are missing after every fifth row, such as after " in caught.value.problem
    assert 'set source.frequency = "1bd"' in caught.value.fix
    assert 'source.gaps = "span"' in caught.value.fix
    found = WindowsSummary.of(prepare(windows, **SPAN).shards)
    assert found.windows == {"train": 210 - 24, "valid": 30 - 4, "test": 60 - 4}
    assert found.grid.season == 5


def test_shorter_windows_than_the_remedy_names_do_without_it(prepare):
    with pytest.raises(InputError, match=r"or set shard\.look_back = 4 and shard\.horizon = 1, or less"):
        prepare(WindowSettings(look_back=20, horizon=5))
    assert min(WindowsSummary.of(prepare(WindowSettings(look_back=4, horizon=1)).shards).windows.values()) > 0


def test_another_step_of_the_same_rows_is_not_taken_for_the_one_before(prepare):
    """Stages that read nothing but the rows' files are built anew where the rows' times mean something else."""
    windows = WindowSettings(look_back=3, horizon=1)

    days, business_days = prepare(windows), prepare(windows, frequency="1bd")

    assert WindowsSummary.of(days.shards).grid.frequency == "1d"
    assert WindowsSummary.of(business_days.shards).grid.frequency == "1bd"
    assert sum(WindowsSummary.of(business_days.shards).windows.values()) > sum(
        WindowsSummary.of(days.shards).windows.values()
    )


def test_windows_of_the_gate_span_holes_as_those_of_training(prepare):
    lineage = prepare(WindowSettings(look_back=20, horizon=5), **SPAN)

    assert read_holdout(lineage).rows == WindowsSummary.of(lineage.shards).windows["test"]


def continuing(
    history: pl.DataFrame, *, frequency: str = "1bd", gaps: str = "span", training: pl.DataFrame | None = None
) -> SeriesForecaster:
    """A forecaster that was trained on such times, whose line goes on from the last two numbers."""
    times = (history if training is None else training).select(
        series=pl.lit("series"), time=pl.col("time").cast(pl.Datetime("us"))
    )
    grid = infer_grid(times, clock="naive", zone=None, frequency=frequency)
    exact = exact_forecaster(Steps(frequency="1d"), missing="error", gaps=gaps, frequency=frequency)
    grid = spanning(grid, times["time"]) if gaps == "span" else grid
    return replace(exact, serving=replace(exact.serving, grid=grid))


def ramped(times: list[datetime]) -> pl.DataFrame:
    table = pl.DataFrame({"time": pl.Series(times, dtype=pl.Datetime("us"))}).with_row_index("n")
    return table.select("time", *((pl.col("n") + LEVELS[name]).cast(pl.Float64).alias(name) for name in CHANNELS))


def test_a_history_that_ends_on_a_friday_goes_on_on_monday(tmp_path):
    days = prices(60)["time"].to_list()
    last = max(number for number, day in enumerate(days) if day.weekday() == 4)
    history = ramped(days[: last + 1])
    forecaster = continuing(history)

    answers = forecaster.answer_frame(history).filter(channel="a")

    friday = days[last]
    assert answers["time"].to_list() == [friday + timedelta(days=day) for day in (3, 4, 5)]
    assert answers["forecast"].to_list() == pytest.approx([last + step for step in (1, 2, 3)])
    history.write_csv(tmp_path / "history.csv")
    files = find_inputs(forecaster.serving.settings_for(tmp_path / "history.csv"))
    assert (
        forecaster.answer_files(files)
        .filter(channel="a")
        .select("time", "forecast")
        .equals(answers.select("time", "forecast"))
    )


def test_a_look_back_spans_a_holiday_only_where_holes_are_spanned():
    days = [MONDAY + timedelta(days=day) for day in (0, 1, 3, 4)]  # Wednesday is missing
    history, training = ramped(days), ramped(prices(60)["time"].to_list())

    assert continuing(history, training=training).answer_frame(history).height == HORIZON * len(CHANNELS)
    with pytest.raises(InputError, match=rf"E-FOR-001 .* has 2 steps without a gap .* expected at least {LOOK_BACK}"):
        continuing(history, training=training, gaps="cut").answer_frame(history)


def test_rows_that_are_known_in_advance_say_when_the_next_steps_are():
    days = prices(60)["time"].to_list()
    history, ahead = ramped(days[:10]), ramped([days[9] + timedelta(days=day) for day in (1, 5, 6)])
    empty = ahead.with_columns(pl.lit(None, pl.Float64).alias(name) for name in CHANNELS)

    answers = continuing(history).answer_frame(pl.concat([history, empty])).filter(channel="a")

    assert answers["time"].to_list() == ahead["time"].to_list()


def test_what_is_done_about_gaps_may_be_set_for_a_file(tmp_path):
    days = [MONDAY + timedelta(days=day) for day in (0, 1, 3, 4)]
    history, training = ramped(days), ramped(prices(60)["time"].to_list())
    forecaster = continuing(history, training=training)
    history.write_csv(tmp_path / "history.csv")

    settings = forecaster.serving.settings_for(tmp_path / "history.csv", gaps="cut")
    with pytest.raises(InputError, match="E-FOR-001"):
        forecaster.answer_files(find_inputs(settings), gaps="cut")


def test_rows_in_another_step_are_no_steps_with_holes():
    hours = [MONDAY.replace(hour=hour) + timedelta(days=day) for day in range(40) for hour in range(9, 17)]
    every_other = ramped(hours[::2])

    with pytest.raises(InputError, match=r"E-FOR-005 .* has steps of 2h, expected 1h"):
        continuing(every_other, frequency="1h", training=ramped(hours)).answer_frame(every_other)


def test_rows_without_a_time_are_a_history_of_their_own(tmp_path):
    forecaster = exact_forecaster(Steps(frequency="1", clock="step"), missing="error", time_unit="order")
    history = ramped([MONDAY] * 9).drop("time")
    history.write_csv(tmp_path / "history.csv")

    answers = forecaster.answer_frame(history).filter(channel="a")

    assert answers["time"].to_list() == [9, 10, 11]
    assert answers["forecast"].to_list() == pytest.approx([9, 10, 11])
    assert forecaster.answer_frame(history.to_pandas()).filter(channel="a").equals(answers)
    files = find_inputs(forecaster.serving.settings_for(tmp_path / "history.csv"))
    assert forecaster.answer_files(files).filter(channel="a").equals(answers)


def test_rows_without_a_time_are_counted_anew_for_each_who_asks():
    forecaster = exact_forecaster(Steps(frequency="1", clock="step"), missing="error", time_unit="order")
    tables = [TableQuestion(rows=ramped([MONDAY] * rows).drop("time").to_dicts()).table() for rows in (9, 5)]

    together = read_together(forecaster, tables)

    assert together is not None
    assert [read().rows["time"].to_list() for read in together] == [list(range(9)), list(range(5))]
    for read, table in zip(together, tables, strict=True):
        assert read().rows.drop("row").equals(read_some(forecaster, table).rows.drop("row"))


@pytest.mark.parametrize("truth", [True, "True", "true"])
def test_what_is_true_is_one_in_json_as_in_files(tmp_path, truth):
    forecaster = exact_forecaster(Steps(frequency="1", clock="step"), missing="error", time_unit="order")
    (tmp_path / "history.csv").write_text("a,b\n" + "True,False\n" * 5)
    inputs = find_inputs(forecaster.serving.settings_for(tmp_path / "history.csv"))

    table = TableQuestion(rows=[{"a": truth, "b": 0}] * 5).table()

    assert read_some(forecaster, table).rows["value.a"].to_list() == [1.0] * 5
    assert forecaster.answer_frame(table).equals(forecaster.answer_files(inputs))


def test_windows_of_rows_without_a_time_are_monitored():
    forecaster = exact_forecaster(Steps(frequency="1", clock="step"), missing="error", time_unit="order")
    steps = pl.int_range(60, eager=True).alias("time").to_frame()
    rows = steps.with_columns(
        pl.lit("series").alias("series"),
        (pl.col("time") >= 20).cast(pl.UInt8).alias("split"),
        *((pl.col("time") + LEVELS[name]).cast(pl.Float64).alias(f"value.{name}") for name in CHANNELS),
    )

    windows = tabulate_validation(forecaster, rows)

    assert windows.height == 40 // LOOK_BACK
    assert windows["error.a"].drop_nans().to_list() == [0.0] * (windows.height - 1)
    assert windows["begin"].min() >= 20


@pytest.mark.parametrize("source", [SPAN, {"time_unit": "order"}])
def test_each_piece_of_a_backtest_has_rows(prepare, source):
    lineage = prepare(WindowSettings(look_back=20, horizon=5), **source)

    plan = plan_cutoffs(lineage.rows, lineage.splits, 2)

    counts = [split.fn(FORECAST, lineage.rows, cutoff).summary["splits"] for cutoff in plan]
    assert sum(one["test"] for one in counts) == 60
    assert all(abs(one["test"] - 30) <= 2 for one in counts)
    assert counts[0]["train"] == 210
    assert abs(counts[1]["train"] - 210 - counts[0]["test"]) <= 1


@pytest.mark.parametrize("layout", ["series_per_column", "series_per_row"])
def test_a_model_of_wide_tables_reads_such_files_and_tables_with_a_row_for_each_time(tmp_path, layout):
    days = [MONDAY + timedelta(days=day) for day in range(6)]
    ids = {"id_columns": ["name"], "time_columns": []} if layout == "series_per_row" else {}
    exact = exact_forecaster(Steps(frequency="1d"), missing="error", layout=layout, value_columns=["value"], **ids)
    serving = replace(exact.serving, channels=("value",), grid=replace(exact.serving.grid, anchor=0))
    scaler = replace(exact.scaler, columns={"value.value": exact.scaler.columns["value.a"]})
    forecaster = replace(exact, serving=serving, scaler=scaler, model=_of_one_channel())
    numbers = {"x": [float(day) for day in range(6)], "y": [float(2 * day) for day in range(6)]}
    wide = pl.DataFrame({"time": [f"{day:%Y-%m-%d}" for day in days], **numbers})
    if layout == "series_per_row":
        wide = wide.transpose(include_header=True, header_name="name", column_names="time")
    wide.write_csv(tmp_path / "wide.csv")
    name = "name" if layout == "series_per_row" else "series"
    long = pl.DataFrame({"time": days * 2, name: ["x"] * 6 + ["y"] * 6, "value": [*numbers["x"], *numbers["y"]]})

    answers = forecaster.answer_files(find_inputs(forecaster.serving.settings_for(tmp_path / "wide.csv")))

    assert answers.select("series", "forecast").rows() == [
        ("x", 6.0),
        ("x", 7.0),
        ("x", 8.0),
        ("y", 12.0),
        ("y", 14.0),
        ("y", 16.0),
    ]
    assert answers["time"].to_list()[:3] == [days[-1] + timedelta(days=day) for day in (1, 2, 3)]
    assert forecaster.answer_frame(long).equals(answers)


def _of_one_channel():
    import torch

    from rnnmodels.forecasters.forecast_config import ForecastArchitecture
    from rnnmodels.forecasters.forecaster import SequenceForecaster
    from rnnmodels.forecasters.windows import WindowShape

    shape = WindowShape(LOOK_BACK, HORIZON, 1, 0)
    model = SequenceForecaster(ForecastArchitecture(hidden_size=1, segment_length=1, decoder="direct"), shape)
    model.recurrent_weight.zero_()
    model.line_LH[-2] = -torch.arange(1.0, HORIZON + 1)
    return model


def test_series_that_end_before_the_test_rows_are_counted(project):
    lengths = {"short": 20, "long": 100, "longest": 120}
    lines = [f"{name},{step % 7}" for name, length in lengths.items() for step in range(length)]
    (project / "steps.csv").write_text("\n".join(["id,value", *lines]))
    rows = ingest.fn(FORECAST, SeriesSource(path=str(project / "steps.csv"), id_columns="id", time_unit="order"))

    splits = split.fn(FORECAST, rows, TimeSplitSettings())

    assert splits.summary["warnings"] == ["1 of 3 series end before the test rows begin, so they are not tested"]


def test_proposed_windows_fit_every_split():
    found = propose_windows([[40], [30, 200]], look_back=96, horizon=24, split=TimeSplitSettings())

    assert found == (96, 23)
    assert propose_windows([[3]], look_back=96, horizon=24, split=TimeSplitSettings()) is None
    assert set(SPLITS) == {"train", "valid", "test"}
