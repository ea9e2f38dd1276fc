"""Time and value never part: a series whose value tells its time is continued at its own times, whatever its rows."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.baseline import fit_baselines
from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.encode import encode
from tasks.ingest import ingest
from tasks.kinds.forecast.backtesting import plan_cutoffs
from tasks.kinds.forecast.baseline import ForecastBaselineSettings
from tasks.kinds.forecast.encode import ScaleSettings
from tasks.kinds.forecast.forecaster import SeriesForecaster
from tasks.kinds.forecast.recipe import FORECAST
from tasks.kinds.forecast.register import end_of_a_series, judged_windows, raw_history
from tasks.kinds.forecast.shard import WindowSettings
from tasks.kinds.forecast.split import TimeSplitSettings
from tasks.kinds.forecast.stored_windows import open_split
from tasks.panel.source import SeriesSource
from tasks.prediction.tables import write_table
from tasks.shard import shard
from tasks.sources.inputs import find_inputs
from tasks.split import split
from tests.tasks.kinds.forecast.ramps import (
    CHANNELS,
    FIRST_STEP,
    HORIZON,
    LEVELS,
    LOOK_BACK,
    Steps,
    exact_forecaster,
    ramp,
)

HOURS = Steps(frequency="1h")
CLOCKS = [
    HOURS,
    Steps(frequency="30m", clock="utc", zone="UTC"),
    Steps(frequency="1h", clock="utc", zone="Europe/Berlin"),
    Steps(frequency="1d", clock="utc", zone="Europe/Berlin"),
    Steps(frequency="1w"),
    Steps(frequency="1mo"),
    Steps(frequency="10", clock="step"),
]
NUMBERS = list(range(FIRST_STEP, FIRST_STEP + 12))
LAST = NUMBERS[-1]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A history that is not as smooth as that of training."""

    steps: Steps
    phase: timedelta | int
    missing: str
    is_long: bool
    ragged: int  # last rows without channel b
    has_gap: bool
    has_hole: bool  # a number that is missing between others
    foreign: int  # rows of an unknown channel behind the last
    duplicates: str
    brings_covariates: bool

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of what is known in advance."""
        return ("known",) if self.brings_covariates else ()

    @property
    def end(self) -> int:
        """The last step that the model sees."""
        return LAST - self.ragged if self.missing == "cut" else LAST

    def forecaster(self) -> SeriesForecaster:
        """A model of such series."""
        layout = {"channel_column": "channel"} if self.is_long else {}
        policy = {"duplicates": self.duplicates, "expect_merged": True}
        return exact_forecaster(self.steps, missing=self.missing, covariates=self.covariates, **policy, **layout)

    def table(self) -> pl.DataFrame:
        """The history as a user brings it, times of their own type."""
        numbers = [n for n in NUMBERS if not (self.has_gap and n == FIRST_STEP + 3)]
        rows = ramp(self.steps, numbers, phase=self.phase)
        is_missing = (pl.col("n") > LAST - self.ragged) | (pl.lit(self.has_hole) & (pl.col("n") == FIRST_STEP + 1))
        rows = rows.with_columns(b=pl.when(~is_missing).then("b"))
        if self.duplicates != "error":
            rows = pl.concat([rows[:6], rows[5:]])
        if self.brings_covariates:
            ahead = [LAST + step for step in range(1, HORIZON + 1)]
            future = ramp(self.steps, ahead, phase=self.phase).with_columns(
                pl.lit(None, pl.Float64).alias(name) for name in CHANNELS
            )
            rows = pl.concat([rows, future]).with_columns(known=pl.col("n").cast(pl.Float64))
        if not self.is_long:
            return rows.drop("n")
        others = ramp(self.steps, [*range(LAST - 1, LAST + 1 + self.foreign)], phase=self.phase)
        rows = rows.with_columns(other=pl.lit(None, pl.Float64))
        others = others.select("n", "time", *(pl.lit(None, pl.Float64).alias(name) for name in CHANNELS), other="a")
        long = pl.concat([rows, others]).unpivot(index=["n", "time"], variable_name="channel").drop_nulls("value")
        return long.sort("time", maintain_order=True).drop("n")

    def check(self, forecasts: pl.DataFrame) -> None:
        """Compare times with the truth, and values where the last numbers of a channel were there."""
        known = ["a"] if self.ragged else CHANNELS
        for channel in CHANNELS:
            found = forecasts.filter(channel=channel)
            ahead = range(self.end + 1, self.end + 1 + HORIZON)
            expected = self.steps.times(ahead, phase=self.phase)
            times = found["time"].dt.convert_time_zone("UTC") if self.steps.zone else found["time"]
            assert times.to_list() == expected.to_list()
            if channel in known or self.missing == "cut":
                assert found["forecast"].to_list() == pytest.approx([n + LEVELS[channel] for n in ahead], abs=0.01)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Histories in all combinations that a recipe allows."""
    steps = draw(st.sampled_from(CLOCKS))
    shifts = {"30m": 29, "1h": 59, "1d": 3, "1w": 6, "1mo": 27, "10": 9}
    units = {"1d": 5 * 60, "1w": 24 * 60, "1mo": 24 * 60}
    shift = draw(st.integers(0, shifts[steps.frequency])) * units.get(steps.frequency, 1)
    is_long = draw(st.booleans())
    missing = draw(st.sampled_from(["error", "cut", "forward", "mean"]))
    fills = missing != "error"
    return Case(
        steps=steps,
        phase=shift if steps.clock == "step" else timedelta(minutes=shift),
        missing=missing,
        is_long=is_long,
        ragged=draw(st.integers(0, 2)) if fills else 0,
        has_gap=draw(st.booleans()),
        has_hole=draw(st.booleans()) and fills,
        foreign=draw(st.integers(0, 3)) if is_long else 0,
        duplicates=draw(st.sampled_from(["error", "first", "last", "mean"])),
        brings_covariates=draw(st.booleans()) and not is_long,
    )


@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_every_forecast_is_at_its_own_time(tmp_path_factory: pytest.TempPathFactory, case: Case):
    forecaster, table = case.forecaster(), case.table()

    case.check(forecaster.answer_frame(table))

    path = tmp_path_factory.getbasetemp() / "history.csv"
    table.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%:z" if case.steps.zone else None)
    case.check(forecaster.answer_files(find_inputs(forecaster.serving.settings_for(path))))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.sampled_from(CLOCKS),
    missing=st.sampled_from(["cut", "forward", "mean"]),
    holes=st.sets(st.integers(5, 95), max_size=2),
    gaps=st.sets(st.integers(5, 95), max_size=2),
)
def test_a_backtest_compares_each_forecast_with_the_value_of_its_time(
    project: Path, steps: Steps, missing: str, holes: set[int], gaps: set[int]
):
    is_there = ~pl.col("n").is_in([FIRST_STEP + gap for gap in gaps - holes])
    is_hole = pl.col("n").is_in([FIRST_STEP + hole for hole in holes])
    rows = ramp(steps, range(FIRST_STEP, FIRST_STEP + 100)).filter(is_there)
    rows.with_columns(b=pl.when(~is_hole).then("b")).write_csv(project / "ramp.csv")
    source = SeriesSource(
        path=str(project / "ramp.csv"),
        value_columns=CHANNELS,
        covariate_columns=("n",),
        time_unit="step" if steps.clock == "step" else "text",
        time_zone=steps.zone,
    )
    ingested = ingest.fn(FORECAST, source)
    shares = TimeSplitSettings(valid=0.2, test=0.4)
    for cutoff in plan_cutoffs(ingested, split.fn(FORECAST, ingested, shares), 2):
        encoded = encode.fn(
            FORECAST, split.fn(FORECAST, ingested, cutoff), ScaleSettings(method="none", missing=missing)
        )
        shards = shard.fn(FORECAST, encoded, WindowSettings(look_back=LOOK_BACK, horizon=HORIZON))
        windows = open_split(shards, "test")
        batch = windows.take(np.arange(windows.num_rows))
        n_NT = batch.covariates[..., 0]
        assert (np.diff(n_NT) == 1).all()
        ends = steps.times(n_NT[:, LOOK_BACK - 1].astype(int).tolist()).cast(pl.Int64).to_list()
        assert windows.origins(batch.row).time.tolist() == ends
        truth = np.concatenate([batch.history, batch.future], axis=1)
        assert (truth[..., 0] == n_NT).all()
        assert ((truth[..., 1] == n_NT + LEVELS["b"]) | np.isin(n_NT - FIRST_STEP, list(holes))).all()


def test_covariates_and_calendar_are_those_of_the_histories_own_times():
    forecaster = exact_forecaster(HOURS, missing="error", covariates=("works",))
    forecaster = replace(forecaster, scaler=replace(forecaster.scaler, calendar=("minute",)))
    rows = ramp(HOURS, range(FIRST_STEP, LAST + 1 + HORIZON), phase=timedelta(minutes=30))
    values = {f"value.{name}": pl.when(pl.col("n") <= LAST).then(name) for name in CHANNELS}

    canonical = rows.select(pl.lit("x").alias("series"), "time", **values, **{"known.works": pl.col("n") * 1.0})
    [history] = forecaster.histories(canonical)

    assert history.covariates[:, 0].tolist() == list(range(LAST - LOOK_BACK + 1, LAST + HORIZON + 1))
    assert np.abs(history.covariates[:, 2] + 1).max() < 1e-6  # the cosine of half an hour


def test_files_of_text_show_times_in_the_zone_of_the_recipe_with_their_offset(tmp_path: Path):
    berlin = Steps(frequency="1h", clock="utc", zone="Europe/Berlin")
    forecasts = exact_forecaster(berlin, missing="error").answer_frame(ramp(berlin, range(85, 96)))
    paths = [tmp_path / f"out.{suffix}" for suffix in ("csv", "jsonl", "parquet")]

    for path in paths:
        write_table(forecasts, path, is_first=True)

    shown = ["2024-03-31T01:00:00+01:00", "2024-03-31T03:00:00+02:00", "2024-03-31T04:00:00+02:00"]
    csv, jsonl, parquet = pl.read_csv(paths[0]), pl.read_ndjson(paths[1]), pl.read_parquet(paths[2])
    assert csv.filter(channel="a")["time"].to_list() == shown
    assert jsonl.filter(channel="a")["time"].to_list() == shown
    assert parquet["time"].dtype == pl.Datetime("us", "Europe/Berlin")
    assert parquet["time"].equals(forecasts["time"])


def test_what_is_proved_of_a_registered_model_starts_where_a_user_may_start(project: Path):
    numbers = list(range(FIRST_STEP, FIRST_STEP + 60))
    rows = ramp(HOURS, numbers).select("time", value=pl.when(pl.col("n") != numbers[-1 - HORIZON]).then("a"))
    rows.write_csv(project / "ramp.csv")
    ingested = ingest.fn(FORECAST, SeriesSource(path=str(project / "ramp.csv")))
    splits = split.fn(FORECAST, ingested, TimeSplitSettings())
    encoded = encode.fn(FORECAST, splits, ScaleSettings(missing="forward"))
    shards = shard.fn(FORECAST, encoded, WindowSettings(look_back=LOOK_BACK, horizon=HORIZON))
    lineage = Lineage(rows=ingested, splits=splits, encoded=encoded, shards=shards)
    model = fit_baselines.fn(FORECAST, lineage, ForecastBaselineSettings()).fitted[0]

    judged = judged_windows(lineage, Scored(model=model, evaluation=model))

    assert [numbers[one.origin] for one in judged] == [numbers[47], numbers[51], numbers[55]]
    assert all(raw_history(lineage, one.series, one.origin, horizon=HORIZON)["value"][-1] is not None for one in judged)


def test_the_example_of_a_model_holds_a_whole_look_back_even_if_its_series_ends_after_a_gap(project: Path):
    numbers = [n for n in range(FIRST_STEP, FIRST_STEP + 120) if n != FIRST_STEP + 117]
    ramp(HOURS, numbers).select("time", value="a").write_csv(project / "ramp.csv")
    rows = ingest.fn(FORECAST, SeriesSource(path=str(project / "ramp.csv")))
    splits = split.fn(FORECAST, rows, TimeSplitSettings())
    encoded = encode.fn(FORECAST, splits, ScaleSettings())
    shards = shard.fn(FORECAST, encoded, WindowSettings(look_back=LOOK_BACK, horizon=HORIZON))

    example = end_of_a_series(Lineage(rows=rows, splits=splits, encoded=encoded, shards=shards))

    last = FIRST_STEP + 116 - HORIZON
    assert example["time"].to_list() == ramp(HOURS, list(range(last - LOOK_BACK + 1, last + 1)))["time"].to_list()
