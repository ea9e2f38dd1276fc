"""An evaluation says what stored predictions are worth; two of them are compared window by window."""

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.kinds.forecast import evaluate as evaluating
from tasks.kinds.forecast.evaluate import Data, ForecastEvaluationSettings, score_split, write_evaluation
from tasks.kinds.forecast.metrics import measure_advantage
from tasks.panel.scaler import ColumnScale, Scaler
from tasks.statistics.resampling import Bootstrap
from tasks.store import artefacts
from tasks.store.artefacts import Artefact

SETTINGS = ForecastEvaluationSettings(resamples=100)
LOOK_BACK, HORIZON = 6, 4
LEVELS = [0.1, 0.5, 0.9]


def walk(rows: int, seed: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, channels)).cumsum(axis=0).astype(np.float32)


def targets_of(values: np.ndarray) -> np.ndarray:
    """What every window of a segment should forecast: [windows, horizon, channels]."""
    windows = np.lib.stride_tricks.sliding_window_view(values, LOOK_BACK + HORIZON, axis=0)
    return windows.transpose(0, 2, 1)[:, LOOK_BACK:]


VALID, TEST, LATER = walk(40, 2), walk(60, 3), walk(30, 4)
TRUTH = {"valid": targets_of(VALID), "test": np.concatenate([targets_of(TEST), targets_of(LATER)])}
COLUMNS = {
    "value.c0": ColumnScale(1.0, 2.0, 1.0, is_constant=False),
    "value.c1": ColumnScale(0.0, 10.0, 0.0, is_constant=False),
}
SCALER = Scaler("standard", "error", (), None, COLUMNS).to_dict()


@pytest.fixture
def shards(make_shards) -> Artefact:
    splits = {"train": [(0, 0, walk(50, 1))], "valid": [(0, 50, VALID)], "test": [(0, 90, TEST), (0, 200, LATER)]}
    return make_shards(splits, look_back=LOOK_BACK, horizon=HORIZON, season=3)


@pytest.fixture
def encoded(make_artefact) -> Artefact:
    return make_artefact("encode", {"scaler.json": SCALER})


@pytest.fixture
def make_model(make_artefact) -> Callable[..., Artefact]:
    """A model whose forecasts are the truth plus an error, with quantiles `spread` below and above."""

    def make(error: float, *, spread: float | None = 1.0, name: str = "gru") -> Artefact:
        draw, outputs = np.random.default_rng(7), {}
        for split, truth in TRUTH.items():
            point = truth + error * draw.standard_normal(truth.shape)
            quantiles = [] if spread is None else [point - spread, point, point + spread]
            outputs[f"{split}.npy"] = np.stack([point, *quantiles], axis=-1).astype(np.float32)
        levels = [] if spread is None else LEVELS
        return make_artefact("fit", {**outputs, "forecast.json": {"quantiles": levels}}, name=name)

    return make


@pytest.fixture
def evaluate(shards, encoded, make_artefact, tmp_path: Path) -> Callable[[Artefact], tuple[dict, Artefact]]:
    """Evaluate a model; returns metrics.json, and the evaluation as an artefact."""

    def run(model: Artefact) -> tuple[dict, Artefact]:
        def write(folder: Path) -> dict:
            return write_evaluation(folder, model=model, shards=shards, encoded=encoded, settings=SETTINGS)

        artefact = artefacts.build(
            "evaluate", write, module="tasks.store.artefacts", config=SETTINGS, inputs={"model": model}
        )
        return json.loads(artefact.file("metrics.json").read_bytes()), artefact

    return run


def test_metrics_are_those_of_the_stored_predictions(evaluate, make_model):
    model = make_model(0.5)
    outputs = np.load(model.file("test.npy")).astype(np.float64)
    error = TRUTH["test"] - outputs[..., 0]
    seasonal = np.abs(walk(50, 1)[3:] - walk(50, 1)[:-3]).mean(axis=0)

    result, artefact = evaluate(model)

    found = {name: interval["value"] for name, interval in result["metrics"]["test"].items()}
    assert found["mse"] == pytest.approx(np.square(error).mean())
    assert found["mae"] == pytest.approx(np.abs(error).mean())
    assert found["mase"] == pytest.approx((np.abs(error) / seasonal).mean(), rel=1e-5)
    assert found["coverage_80"] == pytest.approx((np.abs(error) <= 1).mean())
    assert found["width_80"] == pytest.approx(2.0)
    assert list(found) == ["mse", "mae", "mase", "smape", "crps", "coverage_80", "width_80"]
    assert artefact.summary["metrics"] == result["metrics"]
    assert (artefact.summary["name"], artefact.rows) == ("gru", 51 + 21)


def test_slices_show_every_step_and_channel(evaluate, make_model):
    result, _ = evaluate(make_model(0.5))

    assert [record["step"] for record in result["by_step"]] == [1, 2, 3, 4]
    assert [record["channel"] for record in result["by_channel"]] == ["c0", "c1"]
    second = result["by_channel"][1]
    assert second["mse_original"]["value"] == pytest.approx(100 * second["mse"]["value"])
    assert result["resampling"]["test"] == {"by": "origin", "units": 72, "overlap": 4, "block": 8, "pieces": 18.0}
    assert result["warnings"] == [
        "valid has only 7.8 independent stretches as long as the horizon: its intervals are too narrow."
    ]


def test_a_perfect_forecast_has_no_error(evaluate, make_model):
    result, _ = evaluate(make_model(0.0, spread=0.0))

    zero = {"value": 0.0, "low": 0.0, "high": 0.0}
    metrics = result["metrics"]["test"]
    assert [metrics[name] for name in ("mse", "mae", "mase", "smape", "crps", "width_80")] == [zero] * 6
    assert metrics["coverage_80"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert result["residuals"]["autocorrelation"] == []


def test_windows_for_the_plots_name_their_place(evaluate, make_model):
    result, _ = evaluate(make_model(0.5))

    worst = result["windows"]["worst"]
    assert {"window", "channel", "mse", "history", "truth", "point", "quantiles", "series", "origin"} == set(worst)
    assert worst["series"] == "s0"
    assert worst["mse"] >= result["windows"]["median"]["mse"] >= result["windows"]["best"]["mse"]
    start = 90 if worst["window"] < 51 else 200 - 51
    assert worst["origin"] == str(start + worst["window"] + LOOK_BACK - 1)


def test_the_losses_of_each_origin_are_kept_for_comparisons(evaluate, make_model):
    model = make_model(0.5)

    _, artefact = evaluate(model)

    losses = pl.read_parquet(artefact.file("losses.parquet")).filter(split="test")
    error = TRUTH["test"] - np.load(model.file("test.npy"))[..., 0]
    assert losses["windows"].to_list() == [1] * 72
    assert losses["mse"].to_numpy() == pytest.approx(np.square(error).mean(axis=(1, 2)), rel=1e-5)


def test_a_better_forecaster_shows_its_advantage_and_equal_ones_show_none(evaluate, make_model):
    bootstrap = Bootstrap(resamples=200, confidence=0.95, seed=1)
    good, poor = (evaluate(make_model(error, name=str(error)))[1] for error in (0.1, 1.0))

    found = measure_advantage(good, poor, "mse", bootstrap)
    none = measure_advantage(good, good, "mse", bootstrap)

    gap = poor.summary["metrics"]["test"]["mse"]["value"] - good.summary["metrics"]["test"]["mse"]["value"]
    assert found.gain["value"] == pytest.approx(gap)
    assert found.gain["low"] > 0
    assert found.p_value < 0.01
    assert measure_advantage(poor, good, "mse", bootstrap).p_value > 0.99
    assert (none.gain, none.p_value) == ({"value": 0.0, "low": 0.0, "high": 0.0}, 1.0)


def test_constant_channels_have_no_scaled_error_and_the_report_says_so(
    make_shards, encoded, make_artefact, tmp_path: Path
):
    rows = np.stack([np.arange(20.0), np.ones(20)], axis=1)
    shards = make_shards({split: [(0, 0, rows)] for split in ("train", "valid", "test")}, look_back=3, horizon=1)
    outputs = {f"{split}.npy": np.zeros((17, 1, 2, 1), np.float32) for split in ("valid", "test")}
    model = make_artefact("baseline", {**outputs, "forecast.json": {"quantiles": []}}, name="zero")

    summary = write_evaluation(tmp_path, model=model, shards=shards, encoded=encoded, settings=SETTINGS)

    assert summary.warnings == ["mase leaves out 1 of 2 channels of series that do not vary over a season of training."]
    # Differences of 1 from row to row, so the error of the channel that varies is its own size: the mean of 3 to 19.
    assert summary.metrics["test"]["mase"]["value"] == pytest.approx(11.0)
    by_channel = json.loads((tmp_path / "metrics.json").read_text())["by_channel"]
    assert ["mase" in record for record in by_channel] == [True, False]


def test_a_single_channel_is_scored_in_original_units_as_well(make_shards, encoded, make_artefact, tmp_path: Path):
    rows = np.arange(20.0)[:, None]
    shards = make_shards({split: [(0, 0, rows)] for split in ("train", "valid", "test")}, look_back=3, horizon=1)
    outputs = {f"{split}.npy": np.full((17, 1, 1, 1), 1.0, np.float32) for split in ("valid", "test")}
    model = make_artefact("fit", {**outputs, "forecast.json": {"quantiles": []}}, name="one")

    summary = write_evaluation(tmp_path, model=model, shards=shards, encoded=encoded, settings=SETTINGS)
    metrics = summary.metrics["test"]

    # One scaled unit of c0 is 2 original ones.
    assert metrics["mae_original"]["value"] == pytest.approx(2 * metrics["mae"]["value"])
    assert metrics["mse_original"]["value"] == pytest.approx(4 * metrics["mse"]["value"])


@pytest.fixture
def evaluate_panel(make_shards, encoded, make_artefact, tmp_path: Path) -> Callable[..., dict]:
    """Evaluate forecasts of a sine with a season of 4 and of a noisy one, off by an error each, in that order."""
    noise = np.random.default_rng(1).normal(0, 0.1, 40)
    series = [np.sin(np.arange(40) * np.pi / 2)[:, None], (np.sin(np.arange(40) * np.pi / 2) + noise)[:, None]]

    def run(errors: tuple[float, float], stage: str = "fit", **named: object) -> dict:
        splits = {split: [(0, 0, series[0]), (1, 0, series[1])] for split in ("train", "valid", "test")}
        shards = make_shards(splits, look_back=4, horizon=1, season=4)
        point = np.concatenate([one[4:] + error for one, error in zip(series, errors, strict=True)])
        outputs = {f"{split}.npy": point[:, None, :, None].astype(np.float32) for split in ("valid", "test")}
        model = make_artefact(stage, {**outputs, "forecast.json": {"quantiles": []}}, name="gru")
        summary = write_evaluation(tmp_path, model=model, shards=shards, encoded=encoded, settings=SETTINGS)
        return dict(summary) | json.loads((tmp_path / "metrics.json").read_text())

    return run


def test_each_series_is_measured_beside_its_seasonal_naive_forecast(evaluate_panel):
    found = evaluate_panel((0.0, 0.5))

    assert {name: found["by_series"][name] for name in ("naive", "series", "worse")} == {
        "naive": "seasonal-naive", "series": 2, "worse": 1
    }  # fmt: skip
    worst, still = found["by_series"]["worst"]
    assert (worst["series"], worst["windows"], worst["mae"]) == ("s1", 36, pytest.approx(0.5))
    assert worst["times_naive"] == pytest.approx(0.5 / worst["naive_mae"])
    assert worst["mase"] == pytest.approx(worst["times_naive"])  # the same rows in training
    assert worst["mae_original"] == pytest.approx(1.0)  # a scaled unit of c0 is 2 original ones
    assert "times_naive" not in still or still["times_naive"] < 1
    assert found["warnings"][-1].startswith(
        '1 of 2 series are forecast far worse than by seasonal-naive on the test windows, such as "s1" with '
    )
    assert not found["problems"]


def test_a_model_no_better_than_the_training_mean_has_learned_nothing(evaluate_panel):
    [problem] = evaluate_panel((2.0, 2.0))["problems"]

    assert problem == (
        "gru forecasts the validation rows no better than the training mean of each series does (MSE 4 against "
        "0.4962), so it learned nothing useful: raise training.epochs or shard.look_back, or add covariates"
    )


def test_nothing_is_expected_of_a_baseline(evaluate_panel):
    found = evaluate_panel((2.0, 2.0), stage="baseline")

    assert not found["problems"]
    assert not [warning for warning in found["warnings"] if "far worse" in warning]


def test_memory_does_not_grow_with_the_predictions(make_shards, encoded, make_artefact, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(evaluating, "VALUES_AT_ONCE", 1 << 14)

    def measure_peak(num_windows: int) -> int:
        rows = np.sin(np.arange(num_windows + 2 + 48.0))[:, None]
        shards = make_shards({split: [(0, 0, rows)] for split in ("train", "valid", "test")}, look_back=3, horizon=48)
        outputs = {f"{split}.npy": np.zeros((num_windows, 48, 1, 4), np.float32) for split in ("valid", "test")}
        model = make_artefact("fit", {**outputs, "forecast.json": {"quantiles": LEVELS}}, name=str(num_windows))
        data = Data.read(shards, encoded)
        tracemalloc.start()
        score_split("test", model=model, data=data, levels=LEVELS)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    growth = measure_peak(16_000) - measure_peak(4_000)

    # Twelve thousand windows more are 9 MB of predictions; a few numbers per window remain.
    assert growth < 1.5e6


def test_predictions_of_other_windows_are_refused(evaluate, make_artefact):
    outputs = {f"{split}.npy": np.zeros((3, HORIZON, 2, 1), np.float32) for split in TRUTH}
    model = make_artefact("fit", {**outputs, "forecast.json": {"quantiles": []}}, name="short")

    with pytest.raises(AssertionError, match="does not predict each valid window once"):
        evaluate(model)


def test_undefined_predictions_are_refused(evaluate, make_artefact):
    outputs = {f"{split}.npy": np.full((*truth.shape, 1), np.inf, np.float32) for split, truth in TRUTH.items()}
    model = make_artefact("fit", {"forecast.json": {"quantiles": []}, **outputs}, name="diverged")

    with pytest.raises(AssertionError, match="may not predict infinite or undefined values"):
        evaluate(model)


@pytest.mark.parametrize("values_at_once", [1, 100, 1000])
def test_how_many_windows_are_read_at_once_changes_nothing(evaluate, make_model, monkeypatch, values_at_once):
    model = make_model(0.5)
    expected, artefact = evaluate(model)
    monkeypatch.setattr(evaluating, "VALUES_AT_ONCE", values_at_once)
    shutil.rmtree(artefact.path)

    found, _ = evaluate(model)

    assert found["metrics"]["test"]["crps"] == pytest.approx(expected["metrics"]["test"]["crps"])
    assert found["windows"] == expected["windows"]
