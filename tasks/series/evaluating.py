"""What a forecaster is worth, from the predictions it stored once; no model runs here and test decides nothing.

W windows, H steps of the horizon, C channels, O outputs: the point forecast, then one per quantile level.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from tasks.evaluate import EvaluationSettings
from tasks.progress import Progress, emit
from tasks.series.examples import describe_example, rank_examples
from tasks.series.losses import ChannelScale, LossScales, measure_seasonal_differences
from tasks.series.metrics import (
    Bootstrap,
    LossTally,
    in_original_units,
    measure_by_channel,
    measure_by_step,
    measure_overall,
)
from tasks.series.resampling import plan_resampling
from tasks.series.residuals import describe_residuals
from tasks.series.stored_windows import SCORED_SPLITS, TRAIN, open_split, read_layout
from tasks.series.time_grid import TimeGrid, show_time
from tasks.store import Artefact

if TYPE_CHECKING:
    from rnnmodels.windows import Windows

INPUTS = ("shards", "encoded")
VALUES_AT_ONCE = 1 << 18
COMPARABLE = ("mse", "mae", "mase", "crps")


class ForecastEvaluationSettings(EvaluationSettings):
    """How forecasts are scored and compared."""

    presented_by: ClassVar[str] = "tasks.series.presenting"

    select_by: Literal["mse", "mae", "crps"] = Field("mse", description="Validation metric that picks the best model.")

    @property
    def bootstrap(self) -> Bootstrap:
        """How intervals are drawn."""
        return Bootstrap(resamples=self.resamples, confidence=self.confidence, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class Data:
    """What forecasts of one pair of shards and scaler have in common."""

    shards: Artefact
    layout: dict
    channels: ChannelScale
    seasonal: np.ndarray

    @classmethod
    def read(cls, shards: Artefact, encoded: Artefact) -> "Data":
        """Read the shape of the windows, the channels' scales and MASE's unit, which training rows alone decide."""
        layout = read_layout(shards)
        scaler = json.loads(encoded.file("scaler.json").read_bytes())
        columns = [scaler["columns"][f"value.{name}"] for name in layout["channels"]]
        centre, scale = (np.array([column[key] for column in columns]) for key in ("centre", "scale"))
        seasonal = measure_seasonal_differences(
            open_split(shards, TRAIN), season=layout["season"], num_series=len(layout["series"])
        )
        return cls(shards=shards, layout=layout, channels=ChannelScale(centre=centre, scale=scale), seasonal=seasonal)

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
    scales = LossScales(levels=tuple(levels), channels=data.channels, seasonal=data.seasonal)
    scored = ScoredSplit(
        windows=windows,
        outputs=outputs,
        tally=LossTally(plan),
        squared_errors=np.empty((len(outputs), outputs.shape[2]), np.float32),
        first_errors=np.empty((len(outputs), outputs.shape[2]), np.float32),
    )
    for batch in windows.batches(max(1, VALUES_AT_ONCE // outputs[0].size)):
        _add_batch(scored, batch.future, np.asarray(batch.row), scales, origins.series)
    return scored


def _add_batch(
    scored: ScoredSplit, truth_NHC: np.ndarray, window_N: np.ndarray, scales: LossScales, series_W: np.ndarray
) -> None:
    outputs = np.asarray(scored.outputs[window_N])
    assert np.isfinite(outputs).all(), "a model may not predict infinite or undefined values"
    losses = scales.measure(truth_NHC, outputs, series_W[window_N])
    scored.tally.add(losses, window_N)
    scored.squared_errors[window_N] = losses["mse"].mean(axis=1)
    scored.first_errors[window_N] = truth_NHC[:, 0] - outputs[:, 0, :, 0]


def write_evaluation(
    folder: Path, *, model: Artefact, shards: Artefact, encoded: Artefact, settings: ForecastEvaluationSettings
) -> dict:
    """Fill the artefact's folder: `metrics.json`, and `losses.parquet` for paired comparisons."""
    name, data = model.summary["name"], Data.read(shards, encoded)
    levels = json.loads(model.file("forecast.json").read_bytes())["quantiles"]
    scored = {split: score_split(split, model=model, data=data, levels=levels) for split in SCORED_SPLITS}
    metrics = {split: measure_split(one, data, settings.bootstrap) for split, one in scored.items()}
    pl.concat(tabulate_losses(split, one) for split, one in scored.items()).write_parquet(folder / "losses.parquet")
    result = {
        "name": name,
        "quantiles": levels,
        "metrics": metrics,
        **inspect_test(scored["test"], data, settings.bootstrap),
        "resampling": {split: one.tally.plan.describe() for split, one in scored.items()},
        "warnings": find_warnings(scored, data),
    }
    (folder / "metrics.json").write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    num_windows = scored["test"].windows.num_rows
    figures = {f"test_{metric}": interval["value"] for metric, interval in metrics["test"].items()}
    emit(Progress("evaluate", name, num_windows, num_windows, "windows", figures=figures, finished=True))
    return {"rows": num_windows, "name": name, "metrics": metrics, "warnings": result["warnings"]}


def measure_split(scored: ScoredSplit, data: Data, bootstrap: Bootstrap) -> dict:
    """Every metric of a split with its interval; with a single channel in original units as well."""
    metrics = measure_overall(scored.tally, bootstrap)
    return metrics | (in_original_units(metrics, data.channels.scale[0]) if len(data.channels.scale) == 1 else {})


def inspect_test(scored: ScoredSplit, data: Data, bootstrap: Bootstrap) -> dict:
    """Look at the test windows from every side: by step, by channel, residuals, and the windows to be drawn."""
    names, windows = data.layout["channels"], scored.windows
    grid = TimeGrid.from_dict(data.shards.summary["grid"])
    segment_W, _ = windows.locate(np.arange(windows.num_rows))
    describe = partial(describe_example, windows=windows, outputs_WHCO=scored.outputs, scale=data.channels)
    return {
        "by_step": measure_by_step(scored.tally, bootstrap),
        "by_channel": measure_by_channel(
            scored.tally, bootstrap, dict(zip(names, data.channels.scale.tolist(), strict=True))
        ),
        "residuals": describe_residuals(
            scored.first_errors, segment_W, season=data.layout["season"], stride=data.stride
        ),
        "windows": {
            example.rank: {**describe(example, names=names), **_place(example.window, windows, data.layout, grid)}
            for example in rank_examples(scored.squared_errors)
        },
    }


def _place(window: int, windows: "Windows", layout: dict, grid: TimeGrid) -> dict:
    """Which series a window belongs to and when its history ends."""
    origins = windows.origins(np.array([window]))
    origin = show_time(int(origins.time[0]), grid.clock).replace(":00Z", "Z")
    return {"series": layout["series"][int(origins.series[0])], "origin": origin}


def find_warnings(scored: dict[str, ScoredSplit], data: Data) -> list[str]:
    """Say what the figures cannot tell: intervals from too few independent windows, and where MASE has no unit."""
    few = [sentence for split, one in scored.items() for sentence in one.tally.plan.find_warnings(split)]
    without_unit = int(np.isnan(data.seasonal).sum())
    pairs = f"{without_unit:,} of {data.seasonal.size:,} channels of series"
    return few + ([f"mase leaves out {pairs} that do not vary over a season of training."] if without_unit else [])


def tabulate_losses(split: str, scored: ScoredSplit) -> pl.DataFrame:
    """Mean losses of each unit of resampling, in order: columns split, unit, windows and one for each loss."""
    tally = scored.tally
    losses = {name: tally.sums[name].mean_by_unit for name in COMPARABLE}
    units = np.arange(tally.plan.num_units, dtype=np.uint32)
    return pl.DataFrame({"unit": units, "windows": tally.windows_by_unit, **losses}).select(
        pl.lit(split).alias("split"), pl.all()
    )
