"""Windows of a series resemble each other; what is like the reference raises no alarm, and what is not does."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest
from scipy import signal

from tasks.contract.profile import Profile, Stretch
from tasks.kinds.detect.seen_windows import tabulate_windows
from tasks.monitoring.drift import ALPHA, compare_profiles
from tasks.panel.profile import WATCH, measure_dependence, number_periods, profile_windows, window_steps

SIZE, GAP = 24, 40
TRIALS = 200
# Where one draw in a hundred raises an alarm, more of 200 do once in a thousand times.
MOST_ALARMS = 7


def draw_series(num_rows: int, persistence: float, draw: np.random.Generator) -> np.ndarray:
    """A first-order autoregression of variance 1."""
    noise = draw.normal(size=num_rows + 500) * np.sqrt(1 - persistence**2)
    return signal.lfilter([1], [1, -persistence], noise)[500:].astype(np.float32)


def count(parts: Sequence[np.ndarray], *, as_reference: bool = False) -> Profile:
    """Count series of which each row is forecast to be the one before; 3 deviations are an alarm."""
    tables = []
    for number, levels in enumerate(parts):
        rows = pl.DataFrame({"series": [f"s{number}"] * len(levels), "time": np.arange(len(levels))})
        before = np.concatenate([levels[:1], levels[:-1]])[:, None]
        alarms = np.abs(levels) > 3
        tables.append(tabulate_windows(rows, levels[:, None], before, alarms, channels=["x"], size=SIZE))
    return profile_windows(pl.concat(tables), as_reference=as_reference)


def find_moved(
    seed: int,
    *,
    persistence: float,
    windows: tuple[int, int],
    num_series: int = 1,
    common: float = 0,
    change: Callable[[np.ndarray], np.ndarray] = lambda levels: levels,
    trusting: bool = False,
) -> set[str]:
    """The features that drift between the beginning of series and a later part of them, which is changed."""
    draw, (num_before, num_after) = np.random.default_rng(seed), windows
    num_rows = (num_before + GAP + num_after) * SIZE
    shared = draw_series(num_rows, persistence, draw) * np.sqrt(common)
    series = [shared + draw_series(num_rows, persistence, draw) * np.sqrt(1 - common) for _ in range(num_series)]
    reference = count([levels[: num_before * SIZE] for levels in series], as_reference=True)
    if trusting:
        reference = dataclasses.replace(reference, dependence={})
    seen = count([change(levels[-num_after * SIZE :]) for levels in series])
    compared = compare_profiles(reference, seen, watch=WATCH, min_rows=20, psi_limit=0.2)
    assert compared
    return {one.feature for one in compared if one.drifted}


@pytest.mark.parametrize(
    "drawn",
    [
        {"persistence": 0, "windows": (40, 40)},
        {"persistence": 0.9, "windows": (40, 40)},
        {"persistence": 0.99, "windows": (200, 100)},
        {"persistence": 0.8, "windows": (12, 6), "num_series": 10, "common": 0.5},
    ],
    ids=["independent rows", "persistent rows", "a wandering level", "series that move together"],
)
def test_stable_series_raise_an_alarm_at_most_one_time_in_a_hundred(drawn):
    assert sum(bool(find_moved(seed, **drawn)) for seed in range(TRIALS)) <= MOST_ALARMS


def test_windows_taken_to_be_independent_would_raise_many_more():
    drawn = {"persistence": 0.99, "windows": (200, 100)}

    assert sum(bool(find_moved(seed, trusting=True, **drawn)) for seed in range(50)) > 10 * 50 * ALPHA


@pytest.mark.parametrize("persistence", [0, 0.9])
@pytest.mark.parametrize(
    ("change", "moved"),
    [
        (lambda levels: levels + 3, {"level.x"}),
        (lambda levels: 2 * levels, {"spread.x", "error.x"}),
        (lambda levels: np.full_like(levels, levels[0]), {"spread.x"}),
    ],
    ids=["a shifted level", "twice the spread", "a sensor that is stuck"],
)
def test_what_is_broken_is_found_by_its_own_feature(persistence, change, moved):
    for seed in range(10):
        assert moved <= find_moved(seed, persistence=persistence, windows=(60, 40), change=change)


def test_smaller_errors_and_fewer_alarms_are_no_drift():
    found = find_moved(1, persistence=0, windows=(100, 100), change=lambda levels: levels / 4)

    assert "spread.x" in found
    assert not {"error.x", "alarm"} & found


@pytest.mark.parametrize(("persistence", "expected"), [(0, 1), (0.5, 3), (0.8, 9)])
def test_the_dependence_of_an_autoregression_is_that_of_theory(persistence, expected):
    values = draw_series(20_000, persistence, np.random.default_rng(1)).astype(np.float64)

    measured = measure_dependence("level.x", values, np.arange(len(values)))

    assert measured == pytest.approx(expected, rel=0.15)


def test_series_that_move_as_one_tell_no_more_than_one_does():
    one = np.random.default_rng(1).normal(size=500)

    measured = measure_dependence("level.x", np.tile(one, 8), np.tile(np.arange(500), 8))

    assert measured == pytest.approx(8, rel=0.2)


@pytest.mark.parametrize("values", [[0.0] * 9, [1.0, 2.0], [float("nan")] * 9, []])
def test_what_cannot_be_known_is_taken_to_be_independent(values):
    assert measure_dependence("level.x", np.array(values), np.arange(len(values))) == 1


def test_windows_of_one_time_are_of_one_period_though_they_end_a_little_apart():
    windows = pl.DataFrame({"series": ["a", "a", "b", "b"], "begin": 0, "end": [100, 200, 101, 201]})

    assert number_periods(windows).tolist() == [0, 1, 0, 1]


def test_a_profile_says_which_stretch_it_counts_and_leaves_out_what_is_unknown():
    windows = pl.DataFrame(
        {"series": ["b", "a"], "begin": [1, 6], "end": [5, 9], "level.x": [0.0, 300.0], "error.x": [0.5, float("nan")]}
    )

    profile, alone = profile_windows(windows), profile_windows(windows[1:])

    assert (profile.rows, sum(profile.histograms["level.x"]), sum(profile.histograms["error.x"])) == (2, 2, 1)
    assert profile.histograms["level.x"][-1] == 1
    assert profile.stretch == Stretch(min(profile.stretch.series, alone.stretch.series), 1, 9)
    assert profile_windows(windows[:1]) + alone == profile
    assert profile_windows(windows.clear()) == Profile.empty()


@pytest.mark.parametrize(("look_back", "horizon", "steps"), [(336, 48, 48), (96, 1, 24), (8, 4, 8), (4, 12, 12)])
def test_a_window_is_as_long_as_the_horizon_or_long_enough_to_have_a_spread(look_back, horizon, steps):
    assert window_steps(look_back, horizon) == steps
