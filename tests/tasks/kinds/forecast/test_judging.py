"""What speaks against a forecaster is found in its errors, and said in a sentence."""

import numpy as np
import polars as pl
import pytest

from tasks.kinds.forecast.gate import compare_scores, relative_gain
from tasks.kinds.forecast.holdout import ForecastHoldout
from tasks.kinds.forecast.promotion import ForecastPromotionSettings
from tasks.kinds.forecast.scoring import ForecastScores, tabulate_errors
from tasks.panel.scaler import ColumnScale, Scaler
from tasks.promotion.comparison import find_objections
from tasks.statistics.paired_tests import diebold_mariano_p_value

WINDOWS, HORIZON, CHANNELS = 400, 10, ("load", "oil")
UNIT = {"load": 2.0, "oil": 30.0}


def holdout(stride=10, horizon=HORIZON):
    columns = {f"value.{name}": ColumnScale(0.0, unit, 0.0, is_constant=False) for name, unit in UNIT.items()}
    return ForecastHoldout(
        digest="d", splits=None, origins=np.arange(WINDOWS), horizon=horizon, stride=stride,
        channels=CHANNELS, scaler=Scaler("standard", "error", (), None, columns),
    )  # fmt: skip


def scores(version, size=1.0, *, noise=0.1, seed=1, num_series=1, **sizes):
    """Errors of about a size; those of `load`, of `oil` and of the last steps (`end`) are so many times as large."""
    errors = np.random.default_rng(seed).normal(size, noise, (WINDOWS, HORIZON, len(CHANNELS)))
    errors *= [sizes.get(channel, 1.0) for channel in CHANNELS]
    errors[:, holdout().edges[-2] :] *= sizes.get("end", 1.0)
    rows = np.arange(WINDOWS)
    series = pl.Series(rows % num_series).cast(pl.String)
    origins = pl.DataFrame({"row": rows.astype(np.uint32), "series": series, "time": rows * 10})
    table = tabulate_errors(errors, origins, CHANNELS, holdout().edges)
    return ForecastScores(version=version, undefined=0, errors=table, error_unit=UNIT)


def compare(champion, challenger, anchor=None, *, stride=10, **changed):
    settings = ForecastPromotionSettings(**changed)
    comparison = compare_scores(champion, challenger, holdout(stride), anchor=anchor or {}, settings=settings)
    return comparison, find_objections(comparison, settings)


def gains_of_windows(champion, challenger):
    """Mean gain of each window, in the order of rows."""
    gains = (champion.errors["mse"] - challenger.errors["mse"]).to_numpy()
    return gains.reshape(WINDOWS, -1).sum(axis=1) / (HORIZON * len(CHANNELS))


def test_errors_are_added_up_by_part_of_the_horizon_and_channel():
    error = np.arange(20.0).reshape(1, 10, 2)
    error[0, 3, 1] = np.nan
    table = tabulate_errors(error, pl.DataFrame({"row": [5], "series": ["s"], "time": [9]}), CHANNELS, holdout().edges)

    assert holdout().edges.tolist() == [0, 2, 5, 7, 10]
    assert table.row(3, named=True) == {
        "row": 5, "series": "s", "time": 9, "part": 1, "channel": "oil", "steps": 2, "mse": 106.0, "mae": 14.0
    }  # fmt: skip
    assert table["mae"].sum() == np.nansum(error)


def test_a_better_challenger_meets_no_objection():
    champion, challenger = scores("3", 1.0), scores("4", 0.9, seed=2)

    comparison, objections = compare(champion, challenger)

    assert (comparison.rows, objections) == (WINDOWS, [])
    assert comparison.p_value < 1e-6
    assert comparison.gain("mse") == pytest.approx(1 - 0.82 / 1.01, abs=0.01)
    assert comparison.anchor == champion.figures
    assert [(one["by"], one["slice"], one["rows"]) for one in comparison.slices] == [
        ("channel", "load", WINDOWS), ("channel", "oil", WINDOWS),
        ("steps", "1 to 2", WINDOWS), ("steps", "3 to 5", WINDOWS), ("steps", "6 to 7", WINDOWS),
        ("steps", "8 to 10", WINDOWS),
    ]  # fmt: skip


def test_a_gain_too_small_to_matter_is_an_objection():
    _, objections = compare(scores("3"), scores("4", 0.9999, seed=1), metric="mae")

    assert objections == ["The gain is 0.01 %, less than the minimum of 0.10 %."]


def test_a_channel_that_becomes_worse_is_an_objection_however_good_the_whole():
    champion, challenger = scores("3", noise=0.0), scores("4", noise=0.0, load=0.5, oil=1.1)

    assert compare(champion, challenger)[1] == [
        "On 400 windows (channel: oil) it has MSE 1.21 against 1, which is more than 5.00 % worse."
    ]
    assert compare(champion, challenger, max_slice_drop=0.25)[1] == []
    assert compare(champion, challenger, min_slice_rows=401)[1] == []


def test_a_part_of_the_horizon_that_becomes_worse_is_an_objection():
    champion, challenger = scores("3", noise=0.0), scores("4", 0.7, noise=0.0, end=1.8)

    assert compare(champion, challenger, metric="mae")[1] == [
        "On 400 windows (steps: 8 to 10) it has MAE 1.26 against 1, which is more than 5.00 % worse."
    ]


def test_errors_may_not_grow_above_those_of_the_first_champion_on_these_rows():
    champion, challenger = scores("3", noise=0.0), scores("4", 0.9, noise=0.0)
    anchor = scores("1", 0.8, noise=0.0).figures

    assert compare(champion, challenger, anchor)[1] == [
        "It has a larger error than version 1, the first champion on these rows: MSE 0.81 against MSE 0.64."
    ]
    assert compare(champion, challenger, anchor, anchor_tolerance=0.3)[1] == []
    assert compare(champion, challenger, anchor | {"unit": {"load": 2.0, "oil": 31.0}})[1] == []


@pytest.mark.parametrize(("stride", "overlap"), [(10, 1), (3, 4)])
def test_windows_that_share_steps_are_no_proofs_of_their_own(stride, overlap):
    champion, challenger = scores("3", noise=0.5), scores("4", 0.99, noise=0.5, seed=2)

    comparison, _ = compare(champion, challenger, stride=stride)

    gains = gains_of_windows(champion, challenger)
    assert comparison.p_value == pytest.approx(diebold_mariano_p_value(gains, overlap=overlap))


def test_windows_of_many_series_are_compared_series_by_series():
    champion, challenger = (scores("3", seed=seed, num_series=80) for seed in (1, 2))

    comparison, _ = compare(champion, challenger, stride=1)

    gains = gains_of_windows(champion, challenger).reshape(-1, 80).mean(axis=0)
    assert comparison.p_value == pytest.approx(diebold_mariano_p_value(gains, overlap=0))


def test_a_perfect_champion_leaves_gains_finite():
    assert relative_gain(0.0, 0.0) == 0
    assert np.isfinite(relative_gain(0.0, 1e3))
    assert relative_gain(2.0, 1.5) == 0.25
