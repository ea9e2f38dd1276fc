"""Overlapping windows are resampled in blocks, so that their intervals are as wide as luck makes them."""

import numpy as np
import pytest

from tasks.statistics.intervals import percentile_interval
from tasks.statistics.resampling import MAX_UNITS, draw_blocks, plan_resampling


def test_blocks_cover_neighbours_and_run_over_the_end():
    drawn = np.concatenate(list(draw_blocks(5, block=3, resamples=500, seed=1)), axis=1)

    def blocks(first: int, second: int) -> tuple[int, ...]:
        return tuple(
            np.bincount([(first + k) % 5 for k in range(3)] + [(second + k) % 5 for k in range(2)], minlength=5)
        )

    # A block of 3 and one of 2 on a circle of 5, each from anywhere.
    assert {tuple(column) for column in drawn.T.astype(int)} == {blocks(i, j) for i in range(5) for j in range(5)}


def test_every_unit_is_drawn_equally_often():
    counts = np.concatenate(list(draw_blocks(30, block=20, resamples=20_000, seed=2)), axis=1)

    assert counts.mean(axis=1) == pytest.approx(np.ones(30), abs=0.03)


def test_the_same_seed_draws_the_same_blocks_and_another_seed_others():
    first, same, other = (np.concatenate(list(draw_blocks(50, 7, 100, seed)), axis=1) for seed in (1, 1, 2))

    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_windows_of_one_series_are_drawn_by_origin_in_blocks_of_two_horizons():
    plan = plan_resampling(np.zeros(500, int), np.arange(500) * 60, horizon=24, stride=2)

    assert plan.describe() == {"by": "origin", "units": 500, "overlap": 12, "block": 24, "pieces": 41.67}
    assert (plan.unit_of_window == np.arange(500)).all()


def test_windows_of_one_origin_stay_together():
    series, origins = np.repeat([0, 1], 100), np.tile(np.arange(100), 2)

    plan = plan_resampling(series, origins, horizon=4, stride=1)

    assert (plan.by, plan.num_units) == ("origin", 100)
    assert (plan.unit_of_window == origins).all()


def test_figures_of_windows_are_averaged_by_unit():
    plan = plan_resampling(np.array([0, 0, 1, 1]), np.array([7, 8, 8, 9]), horizon=1, stride=1)

    assert plan.average(np.array([1.0, 2.0, 4.0, 8.0])).tolist() == [1, 3, 8]


def test_many_series_with_few_origins_are_drawn_by_series():
    series, origins = np.repeat(np.arange(9), 30), np.tile(np.arange(30), 9)

    plan = plan_resampling(series, origins, horizon=10, stride=1)

    assert plan.describe() == {"by": "series", "units": 9, "overlap": 0, "block": 1, "pieces": 9.0}
    assert (plan.unit_of_window == series).all()


def test_long_data_are_merged_into_units_of_neighbouring_origins():
    plan = plan_resampling(np.zeros(5000, int), np.arange(5000), horizon=24, stride=1)

    assert plan.num_units == 1000 <= MAX_UNITS
    assert (np.bincount(plan.unit_of_window) == 5).all()
    assert plan.describe() == {"by": "origin", "units": 1000, "overlap": 5, "block": 10, "pieces": 200.0}


def test_a_horizon_as_long_as_the_data_leaves_four_blocks_at_least():
    assert plan_resampling(np.zeros(100, int), np.arange(100), horizon=90, stride=1).block == 25


def test_block_intervals_cover_the_truth_where_drawing_one_by_one_does_not():
    # Losses of overlapping windows: means over 12 steps of white noise around 0.
    noise = np.random.default_rng(3).standard_normal((200, 311))
    losses = np.lib.stride_tricks.sliding_window_view(noise, 12, axis=1).mean(axis=2)

    def count_covered(block: int) -> int:
        weights = np.concatenate(list(draw_blocks(300, block, 400, seed=1)), axis=1)
        intervals = [percentile_interval(row.mean(), row @ weights / 300, 0.9) for row in losses]
        return sum(one["low"] <= 0 <= one["high"] for one in intervals)

    # 90 % of 200 are 180; blocks of two overlaps see five sixths of the variance, so somewhat fewer are covered.
    assert count_covered(24) >= 160
    assert count_covered(1) < 100
