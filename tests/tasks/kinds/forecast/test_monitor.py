"""What a forecaster sees of histories, and how far off its earlier forecasts turned out to be."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.contract.lineage import Lineage
from tasks.contract.profile import read_profile
from tasks.kinds.forecast.forecaster import SeriesForecaster
from tasks.kinds.forecast.monitor import tabulate_validation
from tasks.kinds.forecast.seen_windows import tabulate_windows
from tasks.panel.frames import ROWS_FILE, TEST
from tasks.promotion import named_models

LOOK_BACK, HORIZON = 24, 6


@pytest.fixture
def parts(loads_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNFLOW_HOME", str(loads_home))
    return named_models.resolve_model("loads/1").parts


@pytest.fixture
def rows(loads: tuple[Lineage, object]) -> pl.DataFrame:
    """Training and validation rows of both stations."""
    splits = loads[0].splits
    return pl.read_parquet(splits.file(ROWS_FILE)).filter(pl.col("split") < TEST)


def test_the_reference_has_the_windows_of_the_validation_rows_alone(parts: Path, rows: pl.DataFrame):
    forecaster, reference = SeriesForecaster.load(parts), read_profile(parts)

    windows = tabulate_validation(forecaster, rows)

    num_valid = rows.filter(split=1).height // 2
    assert windows.height == reference.rows == 2 * ((num_valid - HORIZON) // LOOK_BACK)
    first = rows.filter(split=1).select(pl.col("time").min().cast(pl.Int64)).item()
    assert windows["begin"].min() >= first
    assert reference.histograms.keys() == {"missing", "level.load", "spread.load", "change.load", "error.load"}
    assert windows["error.load"].is_nan().sum() == 2


def test_a_window_is_measured_in_scaled_units_and_its_forecast_by_what_came_true(parts: Path, rows: pl.DataFrame):
    forecaster = SeriesForecaster.load(parts)
    is_past = pl.int_range(pl.len(), 0, -1).over("series") > HORIZON
    history, _ = forecaster.histories(rows.with_columns(pl.when(is_past).then("value.load")), num_windows=3)
    outputs = forecaster.forecast((history,))

    newest, earlier, _ = tabulate_windows(forecaster.model, [history], outputs, ["load"]).to_dicts()

    assert len(history.values) == LOOK_BACK + 2 * LOOK_BACK
    assert newest["level.load"] == pytest.approx(history.values[-LOOK_BACK:].mean(), rel=1e-5)
    assert newest["spread.load"] == pytest.approx(history.values[-LOOK_BACK:].std(), rel=1e-5)
    assert newest["change.load"] == pytest.approx(outputs[0, :, 0, 0].mean() - history.values[-1, 0], rel=1e-4)
    assert np.isnan(newest["error.load"])
    assert earlier["end"] < newest["begin"]
    cut = len(history.values) - LOOK_BACK
    shorter = history._replace(values=history.values[:cut], covariates=history.covariates[: cut + HORIZON])
    expected = np.abs(forecaster.forecast((shorter,))[0, :, 0, 0] - history.values[cut : cut + HORIZON, 0]).mean()
    assert earlier["error.load"] == pytest.approx(expected, rel=1e-4)


def test_looking_changes_no_forecast_and_counts_each_series(parts: Path, loads_csv: Path):
    forecaster, profiles = SeriesForecaster.load(parts), []
    table = pl.read_csv(loads_csv)
    is_ahead = pl.int_range(pl.len()).over("station") >= 480 - HORIZON
    history = table.with_columns(load=pl.when(is_ahead).then(None).otherwise("load"))
    canonical = pl.DataFrame(
        {
            "series": history["station"],
            "time": history["time"].str.to_datetime(time_zone="UTC", time_unit="us"),
            "value.load": history["load"],
            "known.works": history["works"].cast(pl.Float64),
        }
    )

    watched = forecaster.forecast_rows(canonical, profiles=profiles)

    assert watched.equals(forecaster.forecast_rows(canonical))
    [profile] = profiles
    possible = (480 - HORIZON - LOOK_BACK) // LOOK_BACK + 1
    assert (profile.rows, sum(profile.histograms["error.load"])) == (2 * possible, 2 * (possible - 1))
