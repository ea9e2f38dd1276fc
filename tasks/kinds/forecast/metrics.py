"""Metrics of a forecast with intervals: over all windows, by step of the horizon and by channel.

Losses are summed by unit of resampling while the predictions are read once, so memory does not grow with the number
of windows. A metric is the mean of its loss over every value for which it is defined. Two forecasters are compared on
the same windows, from the losses that their evaluations keep.
U units, H steps of the horizon, C channels.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from tasks.statistics.intervals import Interval, scaled_interval
from tasks.statistics.paired_tests import diebold_mariano_p_value
from tasks.statistics.resampling import Bootstrap, ResamplingPlan
from tasks.store.artefacts import Artefact


@dataclass(frozen=True)
class LossSums:
    """One loss added up by unit: over channels [U, H], over steps [U, C], and how many windows define it [U, C]."""

    step_totals: np.ndarray
    channel_totals: np.ndarray
    windows: np.ndarray

    @classmethod
    def zeros(cls, num_units: int, horizon: int, channels: int) -> "LossSums":
        """Sums of nothing."""
        return cls(np.zeros((num_units, horizon)), np.zeros((num_units, channels)), np.zeros((num_units, channels)))

    def add(self, loss_NHC: np.ndarray, unit_N: np.ndarray) -> None:
        """Add the losses of some windows; a channel that a window leaves undefined is NaN at all of its steps."""
        defined = np.isfinite(loss_NHC[:, 0])
        known = loss_NHC if defined.all() else np.where(defined[:, None], loss_NHC, 0.0)
        np.add.at(self.step_totals, unit_N, known.sum(axis=2))
        np.add.at(self.channel_totals, unit_N, known.sum(axis=1))
        np.add.at(self.windows, unit_N, defined)

    @property
    def horizon(self) -> int:
        """Steps of the horizon."""
        return self.step_totals.shape[1]

    @property
    def overall(self) -> tuple[np.ndarray, np.ndarray]:
        """Sum and number of values by unit: [U, 1] each."""
        return self.step_totals.sum(axis=1, keepdims=True), self.horizon * self.windows.sum(axis=1, keepdims=True)

    @property
    def by_step(self) -> tuple[np.ndarray, np.ndarray]:
        """Sum and number of values by unit and step: [U, H] and [U, 1]."""
        return self.step_totals, self.windows.sum(axis=1, keepdims=True)

    @property
    def by_channel(self) -> tuple[np.ndarray, np.ndarray]:
        """Sum and number of values by unit and channel: [U, C] each."""
        return self.channel_totals, self.horizon * self.windows

    @property
    def mean_by_unit(self) -> np.ndarray:
        """Mean loss of each unit [U]; NaN where the unit leaves it undefined."""
        total, count = self.overall
        return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)[:, 0]


@dataclass(frozen=True)
class LossTally:
    """The sums of every loss, filled batch by batch."""

    plan: ResamplingPlan
    sums: dict[str, LossSums] = field(default_factory=dict)

    def add(self, losses: Mapping[str, np.ndarray], window_N: np.ndarray) -> None:
        """Add the losses [N, H, C] of some windows, given by their numbers."""
        for name, loss_NHC in losses.items():
            if name not in self.sums:
                self.sums[name] = LossSums.zeros(self.plan.num_units, *loss_NHC.shape[1:])
            self.sums[name].add(loss_NHC, self.plan.unit_of_window[window_N])

    def means(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Mean of some losses by unit [U]."""
        return {name: self.sums[name].mean_by_unit for name in names}


def measure_overall(tally: LossTally, bootstrap: Bootstrap) -> dict[str, Interval]:
    """Every defined metric over all windows, steps and channels."""
    found = {name: bootstrap.bound_ratios(*sums.overall, tally.plan)[0] for name, sums in tally.sums.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def measure_by_step(tally: LossTally, bootstrap: Bootstrap) -> list[dict]:
    """Every defined metric at each step of the horizon: records of `step` (from 1) and metrics."""
    columns = {name: bootstrap.bound_ratios(*sums.by_step, tally.plan) for name, sums in tally.sums.items()}
    return [{"step": step, **metrics} for step, metrics in enumerate(_as_records(columns), start=1)]


def measure_by_channel(tally: LossTally, bootstrap: Bootstrap, channels: Mapping[str, float | None]) -> list[dict]:
    """Every defined metric of each channel, squared and absolute errors in original units as well.

    `channels` maps each channel's name to the size of one scaled unit; None where that differs from series to series.
    """
    columns = {name: bootstrap.bound_ratios(*sums.by_channel, tally.plan) for name, sums in tally.sums.items()}
    return [
        {"channel": name, **metrics, **({} if unit is None else in_original_units(metrics, unit))}
        for (name, unit), metrics in zip(channels.items(), _as_records(columns), strict=True)
    ]


def in_original_units(metrics: Mapping[str, Interval], unit: float) -> dict[str, Interval]:
    """Squared and absolute error of one channel whose scaled unit is `unit` original ones."""
    factors = {"mse": unit**2, "mae": unit}
    return {f"{name}_original": scaled_interval(metrics[name], factor) for name, factor in factors.items()}


def _as_records(columns: Mapping[str, list[Interval | None]]) -> Iterator[dict[str, Interval]]:
    for row in zip(*columns.values(), strict=True):
        yield {name: interval for name, interval in zip(columns, row, strict=True) if interval is not None}


@dataclass(frozen=True, kw_only=True)
class Advantage:
    """How much lower one forecaster's loss is than another's, and the chance that this is luck (Diebold-Mariano)."""

    gain: Interval
    p_value: float


def measure_advantage(best: Artefact, other: Artefact, metric: str, bootstrap: Bootstrap) -> Advantage:
    """Compare two evaluations on the test windows, unit by unit; the gain is positive where `best` is better."""
    paired = read_test_losses(best).join(
        read_test_losses(other), on=["unit", "windows"], validate="1:1", suffix="_other"
    )
    plan = json.loads(best.file("metrics.json").read_bytes())["resampling"]["test"]
    assert paired.height == plan["units"], "evaluations of different windows cannot be paired"
    paired = paired.sort("unit")
    gains = (paired[f"{metric}_other"] - paired[metric]).to_numpy()
    windows = paired["windows"].to_numpy().astype(np.float64)
    units = ResamplingPlan(
        by=plan["by"], unit_of_window=np.arange(len(gains)), num_units=len(gains), overlap=plan["overlap"]
    )
    (gain,) = bootstrap.bound_ratios((gains * windows)[:, None], windows[:, None], units)
    assert gain is not None, "every unit has windows"
    return Advantage(gain=gain, p_value=diebold_mariano_p_value(gains, overlap=plan["overlap"]))


def read_test_losses(evaluation: Artefact) -> pl.DataFrame:
    """Read the mean test losses of each unit."""
    return pl.scan_parquet(evaluation.file("losses.parquet")).filter(split="test").collect()


def tabulate_losses(split: str, plan: ResamplingPlan, losses: Mapping[str, np.ndarray]) -> pl.DataFrame:
    """Mean losses of each unit of resampling, in order: columns split, unit, windows and one for each loss."""
    windows, units = (
        np.bincount(plan.unit_of_window, minlength=plan.num_units),
        np.arange(plan.num_units, dtype=np.uint32),
    )
    return pl.DataFrame({"unit": units, "windows": windows, **losses}).select(pl.lit(split).alias("split"), pl.all())
