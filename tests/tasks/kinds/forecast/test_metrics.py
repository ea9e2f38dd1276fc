"""Metrics are means over windows, steps and channels, whatever the batches, with intervals around them."""

import numpy as np
import pytest

from tasks.kinds.forecast.metrics import (
    LossTally,
    in_original_units,
    measure_by_channel,
    measure_by_step,
    measure_overall,
    tabulate_losses,
)
from tasks.statistics.resampling import Bootstrap, plan_resampling

BOOTSTRAP = Bootstrap(resamples=200, confidence=0.9, seed=1)


def tally_of(losses: dict[str, np.ndarray], batch: int = 1000) -> LossTally:
    num_windows, horizon, _ = next(iter(losses.values())).shape
    plan = plan_resampling(np.zeros(num_windows, int), np.arange(num_windows), horizon=horizon, stride=1)
    tally = LossTally(plan)
    for first in range(0, num_windows, batch):
        ids = np.arange(first, min(first + batch, num_windows))
        tally.add({name: loss[ids] for name, loss in losses.items()}, ids)
    return tally


@pytest.fixture
def losses() -> np.ndarray:
    return np.random.default_rng(1).gamma(2.0, size=(60, 3, 2))


def test_metrics_are_means_over_all_by_step_and_by_channel(losses):
    tally = tally_of({"mse": losses, "mae": losses})

    assert measure_overall(tally, BOOTSTRAP)["mse"]["value"] == pytest.approx(losses.mean())
    by_step = measure_by_step(tally, BOOTSTRAP)
    assert [record["step"] for record in by_step] == [1, 2, 3]
    assert [record["mse"]["value"] for record in by_step] == pytest.approx(losses.mean(axis=(0, 2)))
    by_channel = measure_by_channel(tally, BOOTSTRAP, {"load": 3.0, "heat": 1.0})
    assert [record["channel"] for record in by_channel] == ["load", "heat"]
    assert [record["mse"]["value"] for record in by_channel] == pytest.approx(losses.mean(axis=(0, 1)))
    assert by_channel[0]["mse_original"]["value"] == pytest.approx(9 * losses[..., 0].mean())
    assert by_channel[0]["mae_original"]["value"] == pytest.approx(3 * losses[..., 0].mean())


def test_intervals_enclose_their_value_and_shrink_with_confidence(losses):
    tally = tally_of({"mse": losses})
    sure = measure_overall(tally, Bootstrap(resamples=500, confidence=0.99, seed=1))["mse"]
    bold = measure_overall(tally, Bootstrap(resamples=500, confidence=0.6, seed=1))["mse"]

    assert sure["low"] < bold["low"] < bold["value"] < bold["high"] < sure["high"]


def test_batches_change_nothing(losses):
    whole, parts = (measure_by_step(tally_of({"mse": losses}, batch), BOOTSTRAP) for batch in (1000, 7))

    assert [one["mse"] for one in whole] == [pytest.approx(one["mse"]) for one in parts]


def test_channels_that_leave_a_loss_undefined_do_not_count(losses):
    partly = losses.copy()
    partly[10:, :, 1] = np.nan
    nowhere = np.full_like(losses, np.nan)
    tally = tally_of({"mase": partly, "mse": losses, "mae": losses, "other": nowhere})

    overall = measure_overall(tally, BOOTSTRAP)
    assert overall["mase"]["value"] == pytest.approx(np.nanmean(partly))
    assert "other" not in overall
    assert measure_by_channel(tally, BOOTSTRAP, {"a": 1.0, "b": 1.0})[1]["mase"]["value"] == pytest.approx(
        np.nanmean(partly[..., 1])
    )
    assert "other" not in measure_by_step(tally, BOOTSTRAP)[0]


def test_mean_losses_by_unit_weigh_up_to_the_metric(losses):
    tally = tally_of({"mse": losses})

    assert tabulate_losses("test", tally.plan, tally.means(["mse"]))["windows"].to_list() == [1] * 60
    assert tally.sums["mse"].mean_by_unit == pytest.approx(losses.mean(axis=(1, 2)))


def test_errors_in_original_units_scale_with_the_channel():
    one = {"value": 1.0, "low": 0.5, "high": 2.0}

    assert in_original_units({"mse": one, "mae": one}, 4.0) == {
        "mse_original": {"value": 16.0, "low": 8.0, "high": 32.0},
        "mae_original": {"value": 4.0, "low": 2.0, "high": 8.0},
    }
