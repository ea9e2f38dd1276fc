"""Surprise is a rarity among the rows before, in decades; it adds up, and no later row changes it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.kinds.detect.events import find_threshold
from tasks.kinds.detect.likelihood import (
    Evidence,
    RarityMeter,
    RollingLikelihood,
    choose_evidence,
    measure_surprise,
)
from tasks.kinds.detect.settings import LikelihoodSettings

SHORT_MEMORY = LikelihoodSettings(long_run_rows=100)
DEFAULTS = LikelihoodSettings()
sizes_of_rows = st.lists(st.integers(-40, 40), min_size=140, max_size=160).map(lambda x: np.array(x) / 8)


def rarity_by_hand(sizes: np.ndarray, row: int, settings: LikelihoodSettings) -> float:
    """Count anew for each row, among those that are remembered."""
    before = sizes[max(0, row - settings.long_run_rows) : row]
    if len(before) < 30:
        return 0.0
    reaching = (before >= sizes[row]).sum()
    beyond = 0 if reaching else max(0, sizes[row] / max(before.max(), 0.01) - 1)
    return math.log10((len(before) + 1) / (reaching + 1)) + beyond / settings.decade_beyond_record


@settings(max_examples=20, deadline=None)
@given(sizes_of_rows, st.integers(1, 12))
def test_surprise_is_what_counting_anew_for_each_row_gives(values, mean_rows):
    means = np.array([round(abs(math.fsum(run) / len(run)), 4) for run in last_rows(values, mean_rows)])
    sizes = np.abs(values)
    expected = [
        rarity_by_hand(sizes, row, SHORT_MEMORY) + rarity_by_hand(means, row, SHORT_MEMORY)
        for row in range(len(values))
    ]

    found = measure_surprise({"error": values}, [Evidence("error"), Evidence("error", mean_rows)], SHORT_MEMORY)

    assert found.tolist() == pytest.approx(expected, abs=1e-12)


def last_rows(values: np.ndarray, mean_rows: int) -> list[np.ndarray]:
    return [values[max(0, row + 1 - mean_rows) : row + 1] for row in range(len(values))]


@settings(max_examples=20, deadline=None)
@given(sizes_of_rows, sizes_of_rows, st.integers(0, 140))
def test_rows_one_by_one_are_as_surprising_to_the_last_bit_whatever_comes_later(level, error, known):
    residuals = {"level": level[:140], "error": error[:140]}
    whole = measure_surprise(residuals, choose_evidence(DEFAULTS), SHORT_MEMORY)

    stream = RollingLikelihood(choose_evidence(DEFAULTS), SHORT_MEMORY)
    one_by_one = [stream.update({name: x[row] for name, x in residuals.items()}) for row in range(known)]

    assert one_by_one == whole[:known].tolist()


def test_each_five_percent_beyond_the_record_is_a_decade():
    def judge(last: float) -> float:
        meter = RarityMeter(DEFAULTS)
        return [meter.update(size) for size in [*np.linspace(0.5, 1, 99), last]][-1]

    assert judge(1.0) == pytest.approx(math.log10(100 / 2))
    assert judge(1.05) == pytest.approx(3)
    assert judge(1.10) == pytest.approx(4)


def test_with_few_rows_before_it_nothing_is_surprising():
    meter = RarityMeter(DEFAULTS)

    assert [meter.update(size) for size in [*[0.0] * 29, 100.0, 0.0]] == [0.0] * 31
    assert meter.update(100.0) == pytest.approx(math.log10(32 / 2))


def test_the_rounding_of_forecasts_surprises_nobody_on_a_series_that_stands_still():
    noise = np.random.default_rng(0).normal(0, 1e-7, 200)

    found = measure_surprise({"error": 0.3 + noise}, [Evidence("error")], DEFAULTS)

    assert found.tolist() == [0.0] * 200
    # From zero, what moves by less than a thousandth of a deviation is no record either.
    still = measure_surprise({"error": np.append(np.zeros(99), 1e-3)}, [Evidence("error")], DEFAULTS)
    assert still[-1] == pytest.approx(2)


def test_a_shift_too_small_for_a_single_row_is_seen_by_the_short_run_mean():
    values = np.random.default_rng(1).normal(size=1000)
    values[900:] += 1.5

    single, mean = (
        measure_surprise({"level": values}, [Evidence("level", rows)], DEFAULTS)[905:915].mean() for rows in (1, 10)
    )

    assert mean > single + 1


def test_independent_evidence_reaches_the_threshold_as_often_as_its_tail_probability_says():
    draws = np.random.default_rng(2).normal(size=(3, 16_000))
    evidence = [Evidence(name) for name in "abc"]

    surprise = measure_surprise(dict(zip("abc", draws, strict=True)), evidence, DEFAULTS)[1000:]

    assert (surprise >= find_threshold(0.01, 3)).mean() == pytest.approx(0.01, abs=0.002)
