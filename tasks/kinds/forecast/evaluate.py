"""What a forecaster is worth, from the predictions it stored once; no model runs here and test decides nothing.

W windows, H steps of the horizon, C channels, O outputs: the point forecast, then one per quantile level.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from pydantic import Field

from tasks.contract.evaluation import EvaluationSettings, EvaluationSummary
from tasks.contract.summaries import NamedSummary
from tasks.kinds.forecast.by_series import SeriesTally, describe_series, find_far_worse, find_nothing_learned
from tasks.kinds.forecast.examples import describe_example, describe_residuals, rank_examples
from tasks.kinds.forecast.losses import LossScales, choose_season, measure_seasonal_differences, measure_training_means
from tasks.kinds.forecast.metrics import (
    LossTally,
    in_original_units,
    measure_by_channel,
    measure_by_step,
    measure_overall,
    tabulate_losses,
)
from tasks.kinds.forecast.stored_windows import SCORED_SPLITS, TRAIN, open_split, read_layout
from tasks.kinds.forecast.summaries import WindowsSummary
from tasks.panel.scaler import Scaler, Units
from tasks.panel.time_grid import TimeGrid
from tasks.progress import Progress, emit
from tasks.statistics.resampling import Bootstrap, plan_resampling
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from rnnmodels.forecasters.windows import WindowBatch, Windows

INPUTS = ("shards", "encoded")
VALUES_AT_ONCE = 1 << 18
COMPARABLE = ("mse", "mae", "mase", "crps")


class ForecastEvaluationSettings(EvaluationSettings):
    """How forecasts are scored and compared."""

    select_by: Literal["mse", "mae", "crps"] = Field("mse", description="Validation metric that picks the best model.")


@dataclass(frozen=True, kw_only=True)
class Data:
    """What forecasts of one pair of shards and scaler have in common.

    `unit_of_channel` is the size of a scaled unit, None where that differs from series to series. `seasonal` (the unit
    of MASE) and the training means are scaled, float64 [series, channels].
    """

    shards: Artefact
    layout: dict
    units: Units
    unit_of_channel: dict[str, float | None]
    seasonal: np.ndarray
    training_means: np.ndarray

    @classmethod
    def read(cls, shards: Artefact, encoded: Artefact) -> "Data":
        """Read the shape of the windows, the series' units and MASE's unit, which training rows alone decide."""
        layout, train = read_layout(shards), open_split(shards, TRAIN)
        scaler = Scaler.from_dict(json.loads(encoded.file("scaler.json").read_bytes()))
        own, columns = scaler.own.columns if scaler.own else (), {name: f"value.{name}" for name in layout["channels"]}
        num_series = len(layout["series"])
        return cls(
            shards=shards,
            layout=layout,
            units=scaler.units(layout["series"], layout["channels"]),
            unit_of_channel={
                name: None if column in own else scaler.columns[column].scale for name, column in columns.items()
            },
            seasonal=measure_seasonal_differences(train, season=layout["season"], num_series=num_series),
            training_means=measure_training_means(train, num_series=num_series),
        )

    @property
    def stride(self) -> int:
        """Steps between consecutive windows of validation and test."""
        return self.layout["evaluation_stride"]


@dataclass(frozen=True, kw_only=True)
class ScoredSplit:
    """One split's windows with what the model made of them.

    `outputs` is float32 [W, H, C, O]; mean squared errors and errors at the first step are float32 [W, C].
    """

    windows: "Windows"
    outputs: np.ndarray
    tally: LossTally
    by_series: SeriesTally
    squared_errors: np.ndarray
    first_errors: np.ndarray


def read_outputs(model: Artefact, split: str, windows: "Windows") -> np.ndarray:
    """Map a model's predictions of one split, float32 [W, H, C, O], without reading them."""
    outputs = np.load(model.file(f"{split}.npy"), mmap_mode="r")
    expected = (windows.num_rows, windows.shape.horizon, windows.shape.num_channels)
    assert outputs.shape[:3] == expected, f"{model.path} does not predict each {split} window once"
    return outputs


def score_split(split: str, *, model: Artefact, data: Data, levels: Sequence[float]) -> ScoredSplit:
    """Read a split's predictions once, some windows at a time, and add up what they cost."""
    windows = open_split(data.shards, split)
    outputs = read_outputs(model, split, windows)
    origins = windows.origins(np.arange(windows.num_rows))
    plan = plan_resampling(origins.series, origins.time, horizon=windows.shape.horizon, stride=data.stride)
    scales = LossScales(levels=tuple(levels), units=data.units, seasonal=data.seasonal)
    scored = ScoredSplit(
        windows=windows,
        outputs=outputs,
        tally=LossTally(plan),
        by_series=SeriesTally.start(
            data.training_means, horizon=windows.shape.horizon, season=choose_season(data.layout)
        ),
        squared_errors=np.empty((len(outputs), outputs.shape[2]), np.float32),
        first_errors=np.empty((len(outputs), outputs.shape[2]), np.float32),
    )
    for batch in windows.batches(max(1, VALUES_AT_ONCE // outputs[0].size)):
        _add_batch(scored, batch, scales, origins.series)
    return scored


def _add_batch(scored: ScoredSplit, batch: "WindowBatch", scales: LossScales, series_W: np.ndarray) -> None:
    truth_NHC, window_N = batch.future, np.asarray(batch.row)
    outputs = np.asarray(scored.outputs[window_N])
    assert np.isfinite(outputs).all(), "a model may not predict infinite or undefined values"
    losses = scales.measure(truth_NHC, outputs, series_W[window_N])
    scored.tally.add(losses, window_N)
    scored.by_series.add(batch.history, truth_NHC, outputs[..., 0], series_W[window_N])
    scored.squared_errors[window_N] = losses["mse"].mean(axis=1)
    scored.first_errors[window_N] = truth_NHC[:, 0] - outputs[:, 0, :, 0]


def write_evaluation(
    folder: Path, *, model: Artefact, shards: Artefact, encoded: Artefact, settings: ForecastEvaluationSettings
) -> EvaluationSummary:
    """Fill the artefact's folder: `metrics.json`, and `losses.parquet` for paired comparisons."""
    name, data = NamedSummary.of(model).name, Data.read(shards, encoded)
    levels = json.loads(model.file("forecast.json").read_bytes())["quantiles"]
    scored = {split: score_split(split, model=model, data=data, levels=levels) for split in SCORED_SPLITS}
    metrics = {split: measure_split(one, data, settings.bootstrap) for split, one in scored.items()}
    losses = [tabulate_losses(split, one.tally.plan, one.tally.means(COMPARABLE)) for split, one in scored.items()]
    pl.concat(losses).write_parquet(folder / "losses.parquet")
    warnings = find_warnings(scored, data)
    result = {
        "name": name,
        "quantiles": levels,
        "metrics": metrics,
        **inspect_test(scored["test"], data, settings.bootstrap),
        "resampling": {split: one.tally.plan.describe() for split, one in scored.items()},
        "warnings": warnings,
    }
    problems = []
    if model.stage != "baseline":
        warnings += find_far_worse(scored["test"].by_series, data.layout["series"])
        problems = find_nothing_learned(name, scored["valid"].by_series, metrics["valid"], settings.select_by)
    (folder / "metrics.json").write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    num_windows = scored["test"].windows.num_rows
    figures = {f"test_{metric}": interval["value"] for metric, interval in metrics["test"].items()}
    emit(Progress("evaluate", name, num_windows, num_windows, "windows", figures=figures, finished=True))
    return EvaluationSummary(rows=num_windows, name=name, metrics=metrics, warnings=warnings, problems=problems)


def measure_split(scored: ScoredSplit, data: Data, bootstrap: Bootstrap) -> dict:
    """Every metric of a split with its interval; with a single channel in original units as well."""
    metrics, units = measure_overall(scored.tally, bootstrap), list(data.unit_of_channel.values())
    return metrics | (in_original_units(metrics, units[0]) if len(units) == 1 and units[0] is not None else {})


def inspect_test(scored: ScoredSplit, data: Data, bootstrap: Bootstrap) -> dict:
    """Look at the test windows from every side: by step, by channel, residuals, and the windows to be drawn."""
    names, windows = data.layout["channels"], scored.windows
    grid = WindowsSummary.of(data.shards).grid
    segment_W, _ = windows.locate(np.arange(windows.num_rows))
    describe = partial(describe_example, windows=windows, outputs_WHCO=scored.outputs, names=names)
    unit_S = data.units.scale[:, 0] if len(names) == 1 else None
    return {
        "by_step": measure_by_step(scored.tally, bootstrap),
        "by_channel": measure_by_channel(scored.tally, bootstrap, data.unit_of_channel),
        "by_series": describe_series(scored.by_series, data.layout["series"], seasonal_SC=data.seasonal, unit_S=unit_S),
        "residuals": describe_residuals(
            scored.first_errors, segment_W, season=data.layout["season"], stride=data.stride
        ),
        "windows": {
            example.rank: {
                **describe(example, units=data.units.take(_series_of(example.window, windows))),
                **_place(example.window, windows, data.layout, grid),
            }
            for example in rank_examples(scored.squared_errors)
        },
    }


def _series_of(window: int, windows: "Windows") -> np.ndarray:
    return windows.origins(np.array([window])).series


def _place(window: int, windows: "Windows", layout: dict, grid: TimeGrid) -> dict:
    """Which series a window belongs to and when its history ends."""
    origins = windows.origins(np.array([window]))
    origin = grid.show(int(origins.time[0])).replace(":00Z", "Z")
    return {"series": layout["series"][int(origins.series[0])], "origin": origin}


def find_warnings(scored: dict[str, ScoredSplit], data: Data) -> list[str]:
    """Say what the metrics cannot tell: intervals from too few independent windows, and where MASE has no unit."""
    few = [sentence for split, one in scored.items() for sentence in one.tally.plan.find_warnings(split)]
    without_unit = int(np.isnan(data.seasonal).sum())
    pairs = f"{without_unit:,} of {data.seasonal.size:,} channels of series"
    return few + ([f"mase leaves out {pairs} that do not vary over a season of training."] if without_unit else [])
