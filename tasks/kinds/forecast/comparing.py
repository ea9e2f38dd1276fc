"""Two forecasters on the same windows, from the losses that their evaluations keep."""

import json
from dataclasses import dataclass

import numpy as np
import polars as pl

from tasks.kinds.forecast.metrics import Bootstrap
from tasks.statistics.intervals import Interval
from tasks.statistics.paired_tests import diebold_mariano_p_value
from tasks.statistics.resampling import ResamplingPlan
from tasks.store.artefacts import Artefact


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
