"""The NAB score is what one computes by hand, and its ends are 0 and 100."""

from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.kinds.detect.nab import (
    PROFILES,
    LabelledScores,
    find_best_threshold,
    locate_windows,
    score_corpus,
    score_file,
)

STANDARD = PROFILES["standard"]
NUM_ROWS, WINDOW = 100, (40, 49)  # the first 15 rows are not scored


def detecting(*rows: int, windows=(WINDOW,), num_rows: int = NUM_ROWS, name: str = "file") -> LabelledScores:
    """A file whose detector is sure of the given rows only."""
    scores = np.zeros(num_rows)
    scores[list(rows)] = 1.0
    return LabelledScores(name=name, scores=scores, windows=windows)


def sigmoid(position: float) -> float:
    return 2 / (1 + exp(5 * position)) - 1


def test_a_perfect_detector_scores_100_and_one_that_finds_nothing_0():
    for profile in PROFILES.values():
        perfect = [detecting(40), detecting(15, windows=((15, 30),), name="other")]
        assert score_corpus(perfect, profile).score == pytest.approx(100)
        assert score_corpus([detecting()], profile).score == pytest.approx(0)


def test_a_detection_in_a_window_earns_more_the_earlier_it_comes():
    # Row 45 of 40 to 49 lies 5 tenths of the window before the row behind it.
    assert score_file(detecting(45), STANDARD, 0.5) == pytest.approx(sigmoid(-0.5) / sigmoid(-1))
    assert score_file(detecting(49), STANDARD, 0.5) == pytest.approx(sigmoid(-0.1) / sigmoid(-1))


def test_later_detections_in_a_window_neither_earn_nor_cost():
    assert score_file(detecting(42, 45, 49), STANDARD, 0.5) == score_file(detecting(42), STANDARD, 0.5)


def test_a_false_alarm_costs_all_before_any_window_and_less_shortly_behind_one():
    missed = -1.0

    assert score_file(detecting(20), STANDARD, 0.5) == pytest.approx(missed - 0.11)
    assert score_file(detecting(52), STANDARD, 0.5) == pytest.approx(missed + 0.11 * sigmoid(3 / 9))
    assert score_file(detecting(76), STANDARD, 0.5) == pytest.approx(missed - 0.11)  # three widths behind
    assert score_file(detecting(52), PROFILES["reward_low_FP"], 0.5) == pytest.approx(missed + 0.22 * sigmoid(3 / 9))
    assert score_file(detecting(20), PROFILES["reward_low_FN"], 0.5) == pytest.approx(-2 - 0.11)


def test_rows_in_probation_are_not_scored():
    assert score_file(detecting(*range(15)), STANDARD, 0.5) == -1.0
    assert score_file(detecting(14, 15), STANDARD, 0.5) == pytest.approx(-1.11)
    # A long file has 750 such rows.
    assert score_file(detecting(749, windows=(), num_rows=10_000), STANDARD, 0.5) == 0
    assert score_file(detecting(750, windows=(), num_rows=10_000), STANDARD, 0.5) == pytest.approx(-0.11)


def test_a_window_wholly_in_probation_does_not_count():
    found = score_corpus([detecting(40, windows=((2, 5), WINDOW))], STANDARD)

    assert (found.score, found.windows, found.detected_windows, found.false_alarms) == (pytest.approx(100), 1, 1, 0)


def test_a_window_of_one_row_can_be_scored():
    assert score_file(detecting(40, windows=((40, 40),)), STANDARD, 0.5) == pytest.approx(1.0)


def test_one_threshold_serves_the_whole_corpus():
    def ranked(name: str, inside: float, outside: float) -> LabelledScores:
        scores = np.zeros(NUM_ROWS)
        scores[40], scores[20:30] = inside, outside
        return LabelledScores(name=name, scores=scores, windows=(WINDOW,))

    # Alone the first file would be perfect at 0.4; with the second, 10 false alarms at 0.5 cost more than it earns.
    corpus = [ranked("weak", 0.4, 0.1), ranked("strong", 0.9, 0.5)]
    found = score_corpus(corpus, STANDARD)

    assert found.threshold == 0.4
    assert found.raw_by_file == {"weak": pytest.approx(1.0), "strong": pytest.approx(1 - 1.1)}
    assert (found.windows, found.detected_windows, found.false_alarms) == (2, 2, 10)
    assert score_corpus(corpus, PROFILES["reward_low_FP"]).threshold == 0.9


def test_files_of_one_name_are_refused():
    with pytest.raises(AssertionError, match="file names must be unique"):
        score_corpus([detecting(40), detecting(40)], STANDARD)


def test_a_fixed_threshold_is_obeyed():
    found = score_corpus([detecting(45)], STANDARD, threshold=2.0)

    assert (found.score, found.threshold, found.detected_windows) == (0, 2.0, 0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=60, max_size=60), st.sampled_from(sorted(PROFILES)))
def test_no_threshold_scores_higher_than_the_best_one(scores, profile):
    files = [
        LabelledScores(name=str(half), scores=np.array(scores[half::2]) / 6, windows=windows)
        for half, windows in ((0, ((10, 15), (20, 21))), (1, ((8, 12),)))
    ]
    best = score_corpus(files, PROFILES[profile])

    assert best.score >= 0
    for threshold in [*np.unique(np.array(scores) / 6), np.inf]:
        assert score_corpus(files, PROFILES[profile], threshold=threshold).score <= best.score + 1e-9
    assert best.threshold == find_best_threshold(files, PROFILES[profile])


def test_windows_are_located_by_the_first_of_equal_times():
    times = ["10:00", "10:05", "10:05", "10:10", "10:15"]

    assert locate_windows(times, [("10:05", "10:10")]) == ((1, 3),)
