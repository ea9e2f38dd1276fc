"""What a detector is worth, from what it stored of every row; no model runs here and test decides nothing.

Forecasts are measured without labels. Where rows have labels, which no detector sees, alarms and the ranking of rows by
scores are measured as well. N rows of a split, U units of resampling.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from tasks.contract.evaluation import EvaluationSettings, EvaluationSummary
from tasks.contract.summaries import NamedSummary
from tasks.errors import InputError
from tasks.kinds.detect.detection_metrics import PROFILES
from tasks.kinds.detect.judged_rows import Detector, JudgedSplit, Panel, judge_split
from tasks.kinds.detect.measuring import BUFFER_ROWS, Record, Yardstick, describe_series, expect_share, measure_series
from tasks.kinds.forecast.metrics import tabulate_losses
from tasks.kinds.forecast.stored_windows import SCORED_SPLITS, read_layout
from tasks.progress import Progress, emit
from tasks.statistics.intervals import Interval
from tasks.statistics.resampling import Bootstrap
from tasks.store.artefacts import Artefact

INPUTS = ("shards", "encoded")
DECADES = (1, 2, 3, 4, 5)
PER_ROWS = 1000
FEW_SERIES = 10


class DetectionEvaluationSettings(EvaluationSettings):
    """How detectors are scored and compared; labels, where there are any, serve nothing else."""

    higher_is_better: ClassVar[frozenset[str]] = frozenset({"auc_pr"})

    select_by: Literal["mae", "auc_pr"] = Field(
        "mae",
        description="Validation metric that picks the best model: the error of its forecasts, or how well its "
        "anomaly score ranks labelled anomalies of the warm-up, if there are any.",
    )
    buffer_rows: int = Field(
        BUFFER_ROWS, ge=0, le=10_000, description="Rows around an anomaly up to which VUS-PR counts as near it."
    )
    profile: Literal["standard", "reward_low_FP", "reward_low_FN"] = Field(
        "standard", description="What the NAB score penalizes more: neither, false alarms, or missed anomalies."
    )

    @property
    def yardstick(self) -> Yardstick:
        """What series with labels are measured by."""
        return Yardstick(profile=PROFILES[self.profile], buffer_rows=self.buffer_rows)


def write_evaluation(
    folder: Path, *, model: Artefact, shards: Artefact, encoded: Artefact, settings: DetectionEvaluationSettings
) -> EvaluationSummary:
    """Fill the artefact's folder: `metrics.json`, `events.parquet`, and `losses.parquet` for paired comparisons.

    Raises InputError (E-DET-010) if labels are to choose the model and no validation row is labelled anomalous.
    """
    name, panel, layout = NamedSummary.of(model).name, Panel.read(encoded), read_layout(shards)
    detector = Detector.read(model, panel)
    judge = partial(judge_split, panel=panel, detector=detector, horizon=layout["horizon"])
    splits = {split: judge(split) for split in SCORED_SPLITS}
    records = {split: describe_split(one, settings.yardstick) for split, one in splits.items()}
    metrics = {split: measure_split(one, records[split], settings) for split, one in splits.items()}
    if settings.select_by not in metrics["valid"]:
        raise _no_labels_to_choose_by(settings)
    test = splits["test"]
    losses = [tabulate_losses(split, one.plan, {"mae": one.plan.average(one.errors)}) for split, one in splits.items()]
    pl.concat(losses).write_parquet(folder / "losses.parquet")
    test.tabulate_events().write_parquet(folder / "events.parquet")
    warnings = [sentence for split, one in splits.items() for sentence in find_warnings(split, one)]
    result = {
        "name": name,
        "threshold": detector.threshold,
        "metrics": metrics,
        "by_series": records["test"],
        "calibration": calibrate(test.surprise, num_evidence=detector.num_evidence, num_channels=panel.levels.shape[1]),
        "resampling": {split: one.plan.describe() for split, one in splits.items()},
        "warnings": warnings,
    }
    (folder / "metrics.json").write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    num_rows = len(test.errors)
    figures = {f"test_{metric}": interval["value"] for metric, interval in metrics["test"].items()}
    emit(Progress("evaluate", name, num_rows, num_rows, "rows", figures=figures, finished=True))
    problems = find_problems(name, splits["valid"]) if model.stage != "baseline" else []
    return EvaluationSummary(rows=num_rows, name=name, metrics=metrics, warnings=warnings, problems=problems)


def describe_split(split: JudgedSplit, yardstick: Yardstick) -> list[dict]:
    """Describe how each series of a split was monitored."""
    return [describe_series(one, split.threshold, yardstick) for one in split.series]


def measure_split(
    split: JudgedSplit, records: Sequence[Record], settings: DetectionEvaluationSettings
) -> dict[str, Interval]:
    """Every metric of a split with its interval; one that takes labels is absent where there are none."""
    bound = partial(bound_mean, split, bootstrap=settings.bootstrap)
    metrics = {"mae": bound(split.errors), "events_per_1000": bound(PER_ROWS * split.is_alarm)}
    if not split.is_known.any():
        return metrics
    metrics |= measure_series(records, settings.yardstick.profile, settings.bootstrap)
    is_false = split.is_alarm & split.is_known & ~split.is_anomalous
    return metrics | {"false_alarms_per_1000": bound(PER_ROWS * is_false, split.is_known)}


def bound_mean(
    split: JudgedSplit, value_N: NDArray, counts_N: NDArray | None = None, *, bootstrap: Bootstrap
) -> Interval:
    """Bound the mean of a number per row, over all rows or over those that count, by drawing the plan's blocks."""
    counts_N = np.ones(len(value_N)) if counts_N is None else counts_N
    total_U, count_U = (
        np.bincount(split.plan.unit_of_window, column, split.plan.num_units)[:, None] for column in (value_N, counts_N)
    )
    (interval,) = bootstrap.bound_ratios(total_U, count_U, split.plan)
    assert interval is not None, "some rows count"
    return interval


def calibrate(surprise: NDArray[np.float64], *, num_evidence: int, num_channels: int) -> list[dict]:
    """Share of rows whose anomaly score exceeds each threshold, next to the share expected by chance."""
    expect = partial(expect_share, num_evidence=num_evidence, num_channels=num_channels)
    return [
        {"decades": decades, "observed": float((surprise > decades).mean()), "expected": expect(decades)}
        for decades in DECADES
    ]


def find_warnings(name: str, split: JudgedSplit) -> list[str]:
    """Say where the metrics of a split say little: few independent pieces or anomalies, rows without a label."""
    warnings = split.plan.find_warnings(name)
    num_anomalous = sum((one.labels & one.is_scored).any() for one in split.series)
    if 0 < num_anomalous < FEW_SERIES:
        warnings.append(
            f"{name} has only {num_anomalous} series with a labelled anomaly: the intervals of auc_pr, vus_pr and "
            "nab are unreliable."
        )
    if 0 < (num_known := int(split.is_known.sum())) < len(split.is_known):
        num_unknown = len(split.is_known) - num_known
        warnings.append(f"{num_unknown:,} rows of {name} have no label and are left out of metrics that need one.")
    return warnings


def find_problems(name: str, valid: JudgedSplit) -> list[str]:
    """Say that a detector forecasts rows no better than the median of a series' training rows does."""
    error, prior = float(valid.errors.mean()), float(valid.distances.mean())
    if error < prior or prior == 0:
        return []
    return [
        f"{name} forecasts the validation rows no better than the training median of each series does (MAE {error:.4g} "
        f"against {prior:.4g} levels), so its network adds nothing to the levels alone: raise training.epochs or "
        "shard.look_back, or lower shard.horizon"
    ]


def _no_labels_to_choose_by(settings: DetectionEvaluationSettings) -> InputError:
    return InputError(
        "E-DET-010",
        f"evaluate.select_by is {settings.select_by}, but no validation row, at the end of a warm-up, is labelled "
        "anomalous.",
        fix='set evaluate.select_by to "mae", or raise split.warm_up or split.valid until such rows are among them.',
    )
