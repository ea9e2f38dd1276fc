"""Series of a panel that lie far apart are scaled on their own, and what 32-bit floats do not hold is said."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.forecasters.forecaster import SequenceForecaster
from rnnmodels.forecasters.windows import WindowShape
from tasks.contract.notes import Notes
from tasks.errors import InputError
from tasks.kinds.forecast.encode import ScaleSettings, write_encoded
from tasks.kinds.forecast.fitting_scales import find_far_apart, fit_scales
from tasks.kinds.forecast.forecaster import SeriesForecaster
from tasks.kinds.forecast.serving import Serving
from tasks.panel.frames import ROWS_FILE, SPLITS
from tasks.panel.rounding import find_rounded
from tasks.panel.scaler import Scaler, fit_scale
from tasks.panel.time_grid import TimeGrid
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary

STEPS = 120
GRID = {"frequency": "1", "clock": "step", "zone": None, "anchor": 0}
LOOK_BACK, HORIZON = 12, 4


def wave(size: float, *, level: float = 0.0, seed: int = 1, steps: int = STEPS) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=steps)
    return level + size * (1 + np.sin(np.arange(steps) / 4) + noise / 10)


def panel(first: int = 0, **series: np.ndarray) -> pl.DataFrame:
    """Canonical rows; a name that begins with `late` has only its last tenth."""
    parts = [
        pl.DataFrame({"series": name, "time": np.arange(len(values)), "value.x": values})[
            len(values) * 9 // 10 if name.startswith("late") else first :
        ]
        for name, values in sorted(series.items())
    ]
    return pl.concat(parts).with_row_index("row").select("row", "series", "time", "^value.*$")


@pytest.fixture
def encode(project: Path) -> Callable[..., Artefact]:
    """Encode canonical rows, the first 60 % of their times as training rows: `encode(rows, method=..., scale=...)`."""

    def run(rows: pl.DataFrame, **scale: object) -> Artefact:
        def split(folder: Path) -> dict:
            split = (pl.col("time") >= 0.6 * STEPS).cast(pl.UInt8) + (pl.col("time") >= 0.8 * STEPS)
            rows.with_columns(split=split).write_parquet(folder / ROWS_FILE)
            found = {"channels": ["x"], "covariates": [], "cuts": {}, "splits": {}, "grid": GRID}
            return Summary.model_validate({"rows": rows.height, **found})

        splits = artefacts.build(
            "split", split, module="tasks.store.artefacts", config={"rows": str(rows.hash_rows().sum())}
        )
        write = partial(write_encoded, splits=splits, settings=ScaleSettings(**scale))
        return artefacts.build("encode", write, module="tasks.store.artefacts", config=scale, inputs={"splits": splits})

    return run


def scaled(encoded: Artefact, series: str, split: str = "train") -> np.ndarray:
    rows = pl.read_parquet(encoded.file(ROWS_FILE)).filter(series=series, split=SPLITS.index(split))
    return rows["value.x"].to_numpy()


def scaler_of(encoded: Artefact) -> Scaler:
    return Scaler.from_dict(json.loads(encoded.file("scaler.json").read_bytes()))


def test_series_that_lie_far_apart_get_scales_of_their_own_and_the_summary_says_so(encode):
    encoded = encode(panel(shop=wave(0.4), portal=wave(1e7, seed=2)))

    assert encoded.summary["warnings"] == [
        'series differ by a factor of up to 25,295,490 in "x" (such as "shop" and "portal"), so each is scaled '
        "separately"
    ]
    assert "problems" not in encoded.summary
    assert [scaled(encoded, name).std() for name in ("shop", "portal")] == pytest.approx([1, 1], rel=1e-5)
    scaler = scaler_of(encoded)
    assert Scaler.from_dict(json.loads(json.dumps(scaler.to_dict()))) == scaler


@pytest.mark.parametrize("series", [{"a": wave(3.0, level=1e9)}, {"a": wave(1.0), "b": wave(60.0, seed=2)}])
def test_one_series_and_like_ones_share_a_scale(encode, series):
    encoded = encode(panel(**series))

    assert scaler_of(encoded).own is None
    assert encoded.summary.keys().isdisjoint({"warnings", "problems"})
    scale = np.concatenate([values[: int(0.6 * STEPS)] for values in series.values()])
    expected = (series["a"][: int(0.6 * STEPS)] - scale.mean()) / scale.std()
    np.testing.assert_allclose(scaled(encoded, "a"), expected, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    exponent=st.integers(-60, 60),
    shift=st.floats(-1e3, 1e3),
    method=st.sampled_from(["standard", "robust", "minmax"]),
    seed=st.integers(0, 1000),
)
def test_the_unit_and_the_level_of_a_series_are_no_matter_of_the_others(exponent, shift, method, seed):
    numbers = wave(1.0, seed=seed)

    def scale(changed: np.ndarray) -> pl.DataFrame:
        rows = panel(a=wave(2.0, seed=seed + 1), b=changed).with_columns(split=pl.lit(0))
        with tempfile.TemporaryDirectory() as folder:
            rows.write_parquet(path := Path(folder) / ROWS_FILE)
            fitted = fit_scales(path, method=method, scaled_by="series")
        return Scaler(method, "error", (), None, fitted.columns, fitted.own).transform(rows)

    before, grown, moved = scale(numbers), scale(numbers * 2.0**exponent), scale(numbers + shift)

    assert grown.equals(before)
    assert moved.filter(series="a").equals(before.filter(series="a"))
    np.testing.assert_allclose(moved["value.x"], before["value.x"], atol=1e-6)


def test_a_setting_decides_and_a_shared_scale_that_loses_a_series_is_a_problem(encode):
    rows = panel(shop=wave(0.4), portal=wave(1e7, seed=2))

    encoded = encode(rows, scale="channel")

    assert scaler_of(encoded).own is None
    assert encoded.summary["warnings"][0].endswith('next to nothing: set encode.scale to "series"')
    assert encoded.summary["problems"] == [
        'the variation of 1 series such as "shop" in "x" is lost in rounding to 32-bit floats (train, valid, test '
        "rows), because it is so small compared with their scale or level; results for these series cannot be trusted: "
        'set encode.scale to "series"'
    ]
    assert scaler_of(encode(panel(a=wave(1.0), b=wave(2.0)), scale="series")).own.columns == ("value.x",)
    with pytest.raises(ValidationError, match='scale "series" has no effect with method "none"'):
        ScaleSettings(method="none", scale="series")


@settings(max_examples=40, deadline=None)
@given(
    offset=st.sampled_from([0.0, 1e3, 1e9, -1.7e12]),
    size=st.sampled_from([1e-6, 1.0, 1e6]),
    method=st.sampled_from(["standard", "robust", "minmax", "none"]),
)
def test_a_swing_is_either_kept_or_said_to_be_lost(offset, size, method):
    rows = panel(a=wave(size, level=offset)).with_columns(split=pl.lit(0))
    numbers = rows["value.x"].to_numpy()
    scaler = Scaler(method, "error", (), None, {"value.x": fit_scale("value.x", numbers, method)})

    stored = scaler.transform(rows)["value.x"].to_numpy()
    is_said = find_rounded(rows, scaler, ["split", "series"]).height > 0

    kept = scaler.units(["a"], ["x"]).restore(stored[None, :, None])[0, :, 0]
    is_kept = np.sqrt(np.square(kept - numbers).mean()) < 0.02 * numbers.std()
    assert is_kept or is_said or scaler.columns["value.x"].is_constant
    assert method == "none" or not is_said


def test_numbers_that_are_not_scaled_though_they_should_be_are_a_problem(encode):
    [problem] = encode(panel(clock=1.7e9 + wave(1.0)), method="none").summary["problems"]

    assert problem.endswith('set encode.method to "standard"')


def test_a_change_of_level_that_hides_the_swing_is_named_where_it_does(encode):
    values = wave(1.0)
    values[: int(0.5 * STEPS)] += 1e9

    encoded = encode(panel(meter=values))

    assert "(valid, test rows)" in encoded.summary["problems"][0]
    assert encoded.summary["problems"][0].endswith('train on rows of one level, or set encode.method to "robust"')


def test_numbers_that_stand_still_or_swing_by_the_rounding_of_sums_are_no_problem(encode):
    tenths = np.full(STEPS, 0.3)
    tenths[::2] = 0.1 + 0.2

    encoded = encode(panel(zero=np.zeros(STEPS), tenths=tenths, wave=wave(1.0)), scale="series")

    assert "problems" not in encoded.summary
    assert encoded.summary["warnings"] == [
        '2 series such as "tenths" are constant in "x" in the training rows, so they are scaled by their absolute value'
    ]
    assert scaler_of(encoded).units(["zero", "tenths"], ["x"]).scale[:, 0] == pytest.approx([1, 0.3])


def test_a_series_that_begins_after_the_training_rows_is_left_out_by_name(encode):
    encoded = encode(panel(late_shop=wave(0.4), portal=wave(1e7, seed=2), shop=wave(0.4)))

    assert encoded.summary["unscaled"] == {"series": 1, "rows": 12}
    assert encoded.summary["dropped"] == 0
    assert encoded.summary["warnings"][1] == (
        '1 series such as "late_shop" (12 rows) are left out: they have fewer than the 4 numbers in the training '
        "rows that a per-series scale needs"
    )
    assert not scaled(encoded, "late_shop", "test").size
    with pytest.raises(InputError, match="E-SER-030"):
        encode(panel(shop=wave(0.4)).filter((pl.col("time") < 3) | (pl.col("time") > 100)), scale="series")


def test_missing_numbers_take_the_mean_of_their_own_series(encode):
    rows = panel(portal=wave(1e7, seed=2), shop=wave(0.4))
    gappy = rows.with_columns(pl.when(pl.col("time") == 7).then(None).otherwise("value.x").alias("value.x"))

    encoded = encode(gappy, missing="mean")

    assert abs(scaled(encoded, "shop")[7]) < 1e-6
    assert abs(scaled(encoded, "portal")[7]) < 1e-6


@pytest.mark.parametrize(
    ("known", "is_far_apart"),
    [
        ({"a": np.full(STEPS, 1.0), "b": np.full(STEPS, 5e4)}, False),  # tells shops apart
        ({"a": wave(1.0), "b": wave(5.0)}, False),
        ({"a": np.eye(1, STEPS)[0], "b": np.arange(STEPS) % 2}, False),  # a flag
        ({"a": wave(0.01, level=1), "b": wave(50.0, level=9e3)}, True),  # prices
    ],
)
def test_a_covariate_keeps_a_shared_scale_unless_most_series_swing_below_it(tmp_path, known, is_far_apart):
    rows = pl.concat([panel(**{name: values.astype(float)}) for name, values in known.items()])

    assert (find_far_apart(rows.lazy().rename({"value.x": "known.x"}), "known.x") is not None) == is_far_apart


def test_a_scaler_without_scales_of_series_reads_as_it_was_written():
    column = {"centre": 1.0, "scale": 2.0, "mean": 1.0, "is_constant": False}
    written = {"method": "standard", "missing": "error", "calendar": [], "zone": None, "columns": {"value.x": column}}

    scaler = Scaler.from_dict(written)

    assert scaler.own is None
    assert json.loads(json.dumps(scaler.to_dict())) == written
    assert scaler.units(["any"], ["x"]).restore(np.ones((1, 1, 1), np.float32)).item() == 3.0


@pytest.fixture(scope="module")
def forecaster() -> SeriesForecaster:
    """A forecaster with arbitrary weights that knows a shop and a portal."""
    torch.manual_seed(1)
    network = ForecastArchitecture(decoder="direct", hidden_size=4, output="quantiles", quantile_levels=(0.1, 0.9))
    model = SequenceForecaster(network, WindowShape(LOOK_BACK, HORIZON, num_channels=1))
    with torch.no_grad():
        for weights in model.parameters():
            weights.normal_(std=0.3)
    with tempfile.TemporaryDirectory() as folder:
        rows = panel(portal=wave(1e7, seed=2), shop=wave(0.4))
        rows.with_columns(split=pl.lit(0)).write_parquet(path := Path(folder) / ROWS_FILE)
        fitted = fit_scales(path, method="standard", scaled_by="auto")
    scaler = Scaler("standard", "error", (), None, fitted.columns, fitted.own)
    source = {"path": "x.csv", "id_column": "series", "time_unit": "step"}
    serving = Serving(
        name="x", source=source, grid=TimeGrid(**GRID), channels=("x",), covariates=(), levels=(0.1, 0.9), cuts={}
    )  # fmt: skip
    return SeriesForecaster(model=model, scaler=scaler, serving=serving)


def numbers_of(forecasts: pl.DataFrame, series: str) -> np.ndarray:
    return forecasts.filter(series=series).select("forecast", "q0.1", "q0.9").to_numpy()


@settings(max_examples=20, deadline=None)
@given(exponent=st.integers(-40, 60), shift=st.floats(-1e4, 1e4), seed=st.integers(0, 1000))
def test_a_new_series_is_forecast_in_its_own_unit_and_moves_no_other(forecaster, exponent, shift, seed):
    new, old = wave(3.0, seed=seed, steps=40), {"shop": wave(0.4), "portal": wave(1e7, seed=2)}
    forecast = forecaster.forecast_rows

    before, grown, moved = (forecast(panel(**old, new=one)) for one in (new, new * 2.0**exponent, new + shift))

    for name in old:
        assert (numbers_of(before, name) == numbers_of(grown, name)).all()
        assert (numbers_of(before, name) == numbers_of(moved, name)).all()
    np.testing.assert_allclose(numbers_of(grown, "new"), numbers_of(before, "new") * 2.0**exponent, rtol=1e-6)
    np.testing.assert_allclose(numbers_of(moved, "new"), numbers_of(before, "new") + shift, rtol=1e-5, atol=1e-4)


def test_a_known_series_keeps_the_scale_that_it_was_trained_with(forecaster):
    shop = panel(shop=wave(0.4))
    grown = panel(shop=2 * wave(0.4))

    assert not np.allclose(
        numbers_of(forecaster.forecast_rows(grown), "shop"), 2 * numbers_of(forecaster.forecast_rows(shop), "shop")
    )


def test_a_history_whose_swing_is_lost_far_from_training_is_refused_and_one_that_rests_is_not(forecaster):
    resting = panel(portal=wave(1e-3, level=1e7, steps=40))

    assert forecaster.forecast_rows(resting).height == HORIZON
    with pytest.raises(InputError) as caught:
        forecaster.forecast_rows(panel(shop=wave(0.4, level=1e8)))

    assert str(caught.value) == (
        'E-SER-032 series "shop" lies 348,329,056 times its scale away from the training rows, too far '
        "for 32-bit floats to resolve its variation.\n"
        "Fix: convert it to the unit of the training rows, or train again with such rows."
    )


def test_a_new_series_that_is_too_short_to_be_measured_is_refused(forecaster):
    brief = SequenceForecaster(forecaster.model.architecture, WindowShape(2, HORIZON, num_channels=1))

    with pytest.raises(InputError) as caught:
        replace(forecaster, model=brief).forecast_rows(panel(new=wave(3.0, steps=3)))

    assert str(caught.value) == (
        'E-SER-031 series "new" is new to the model, and its history holds fewer than the 4 numbers needed to '
        "measure its scale.\nFix: give more of its history, or leave the series out."
    )


def test_a_series_without_a_scale_from_training_is_named(forecaster):
    notes = Notes()

    forecaster.forecast_rows(panel(shop=wave(0.4), new=wave(3.0)), notes=notes)

    assert forecaster.describe(notes) == ['1 series new to the model, scaled by the given history: "new"']
