"""Scales, calendar features and what stands for missing numbers: fitted once, the same wherever rows come from."""

import json
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from tasks.errors import InputError
from tasks.panel.calendar import calendar_features
from tasks.panel.scaler import Scaler, fit_scale

RAW = np.random.default_rng(1).gamma(2.0, 5.0, size=500)


def scaler_of(numbers: np.ndarray, *, method: str = "standard", missing: str = "error", calendar=()) -> Scaler:
    return Scaler(method, missing, tuple(calendar), None, {"value.x": fit_scale("value.x", numbers, method)})


def frame(numbers: list[float | None], series: str | list[str] = "a") -> pl.DataFrame:
    ids = [series] * len(numbers) if isinstance(series, str) else series
    times = pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 1, 1), eager=True).gather([0] * len(numbers))
    return pl.DataFrame({"series": ids, "time": times, "value.x": pl.Series(numbers, dtype=pl.Float64)})


@pytest.mark.parametrize(
    ("method", "peer"),
    [("standard", StandardScaler()), ("minmax", MinMaxScaler()), ("robust", RobustScaler(unit_variance=True))],
)
def test_scaled_numbers_are_those_of_scikit_learn(method, peer):
    scaled = scaler_of(RAW, method=method).transform(frame(RAW.tolist()))["value.x"]

    assert scaled.dtype == pl.Float32
    np.testing.assert_allclose(scaled, peer.fit_transform(RAW[:, None])[:, 0], rtol=2e-3, atol=1e-5)


def test_without_a_method_numbers_stay():
    assert scaler_of(RAW, method="none").transform(frame([1.5, -2.0]))["value.x"].to_list() == [1.5, -2.0]


def test_a_constant_column_is_centred_and_not_scaled():
    for numbers in ([7.3] * 50, [0.0] * 50, [1e-310, 2e-310], [1e9, 1e9 + 1e-7]):
        scaler = scaler_of(np.array(numbers))

        assert scaler.columns["value.x"].is_constant
        assert abs(scaler.transform(frame([numbers[0]]))["value.x"][0]) < 1e-6


def test_a_column_that_is_mostly_constant_has_a_robust_scale():
    scale = fit_scale("value.x", np.array([0.0] * 90 + [10.0] * 10), "robust")

    assert (scale.centre, scale.scale, scale.is_constant) == (0.0, 3.0, False)


@settings(max_examples=50, deadline=None)
@given(
    exponent=st.integers(-300, 29),
    method=st.sampled_from(["standard", "robust", "minmax"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_training_numbers_of_any_magnitude_are_finite_once_scaled_and_come_back(exponent, method, seed):
    numbers = np.random.default_rng(seed).normal(size=20) * 10.0**exponent
    scaler = scaler_of(numbers, method=method)

    scaled = scaler.transform(frame(numbers.tolist()))["value.x"].to_numpy()

    assert np.isfinite(scaled).all()
    back = scaler.units(["a"], ["x"]).restore(scaled[None, :, None])[0, :, 0]
    np.testing.assert_allclose(back, numbers, rtol=1e-3, atol=1e-5 * 10.0**exponent)


def test_numbers_are_restored_channel_by_channel():
    columns = {"value.a": fit_scale("value.a", np.array([0.0, 2.0]), "minmax")}
    columns |= {"value.b": fit_scale("value.b", np.array([10.0, 14.0]), "minmax")}
    scaler = Scaler("minmax", "error", (), None, columns)
    scaled = np.ones((5, 3, 2, 4), np.float32)

    back = scaler.units(["a"] * 5, ["b", "a"]).restore(scaled)

    assert (back[:, :, 0] == 14).all()
    assert (back[:, :, 1] == 2).all()


def test_missing_numbers_are_refused_cut_filled_forward_or_with_the_training_mean():
    rows = frame([None, 2.0, None, None, 5.0], ["a", "a", "a", "b", "b"])
    numbers = np.array([1.0, 3.0, np.nan])
    made = {
        missing: scaler_of(numbers, missing=missing, method="none").transform(rows)["value.x"].to_list()
        for missing in ("cut", "forward", "mean")
    }

    assert made == {"cut": [2.0, 5.0], "forward": [2.0, 2.0, 2.0, 2.0, 5.0], "mean": [2.0, 2.0, 2.0, 2.0, 5.0]}
    later = frame([9.0, None], "a")
    assert scaler_of(numbers, missing="forward", method="none").transform(later)["value.x"].to_list() == [9.0, 9.0]
    with pytest.raises(InputError) as caught:
        scaler_of(numbers).transform(rows)
    assert str(caught.value) == (
        'E-SER-009 column "x": a number is missing at 2024-01-01 00:00:00 in series "a".\n'
        'Fix: fill it in, or set encode.missing to "cut", "forward" or "mean".'
    )


def test_a_column_without_training_numbers_is_refused():
    with pytest.raises(InputError) as caught:
        fit_scale("value.x", np.array([np.nan]), "standard")
    assert str(caught.value) == (
        'E-SER-008 column "x": has no number in the training rows.\n'
        "Fix: leave the column out, or let training rows begin earlier or end later."
    )


def test_a_scaler_survives_json_bit_by_bit():
    scaler = scaler_of(RAW, calendar=["hour"])

    assert Scaler.from_dict(json.loads(json.dumps(scaler.to_dict()))) == scaler


def test_a_scaler_takes_the_columns_that_are_there():
    scaler = scaler_of(RAW, calendar=["hour"])
    columns = scaler.columns | {"known.price": fit_scale("known.price", RAW, "standard")}
    scaler = Scaler("standard", "error", ("hour",), None, columns)
    future = frame([1.0]).drop("value.x").with_columns(pl.lit(3.0).alias("known.price"))

    assert scaler.transform(future).columns == ["series", "time", "known.price", "known.hour_sin", "known.hour_cos"]
    assert scaler.covariates == ["price", "hour_sin", "hour_cos"]


def test_calendar_features_follow_the_clocks_of_the_zone():
    times = pl.DataFrame({"time": [datetime(2024, 1, 1, 5), datetime(2024, 7, 1, 4)]})
    utc = times.with_columns(pl.col("time").dt.replace_time_zone("UTC"))

    features = utc.select(**calendar_features(["hour", "month"], "America/New_York"))

    assert features["known.hour_sin"].to_list() == [0.0, 0.0]  # midnight in winter and in summer
    assert features["known.hour_cos"].to_list() == [1.0, 1.0]
    assert features["known.month_cos"].to_list() == pytest.approx([1.0, -1.0])


def test_each_cycle_begins_at_zero_and_is_even():
    hours = pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 12, 31, 23), "1h", eager=True)
    names = ["minute", "hour", "weekday", "day_of_month", "day_of_year", "month"]

    features = pl.DataFrame({"time": hours}).select(**calendar_features(names, None))

    assert features.row(0) == (0.0, 1.0) * len(names)
    for name in ("hour", "weekday", "day_of_year"):
        assert abs(features[f"known.{name}_sin"].mean()) < 0.01
        circle = features[f"known.{name}_sin"] ** 2 + features[f"known.{name}_cos"] ** 2
        assert circle.to_numpy() == pytest.approx(1.0, abs=1e-6)
