"""The ends of the NAB score of a corpus are 0 and 100, and one threshold serves all of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.nab_scores import (
    choose_by_labels,
    find_best_threshold,
    locate_windows,
    score_alarms,
    score_corpus,
    score_rows,
)
from tasks.kinds.detect.detection_metrics import PROFILES, LabelledScores, score_file
from tasks.kinds.detect.measuring import LabelledSurprise

STANDARD = PROFILES["standard"]
NUM_ROWS, WINDOW = 100, (40, 49)  # the first 15 rows are not scored


def detecting(*rows: int, windows=(WINDOW,), num_rows: int = NUM_ROWS, name: str = "file") -> LabelledScores:
    """A file whose detector is sure of the given rows only."""
    scores = np.zeros(num_rows)
    scores[list(rows)] = 1.0
    return score_rows(name, scores, windows)


def test_a_perfect_detector_scores_100_and_one_that_finds_nothing_0():
    for profile in PROFILES.values():
        perfect = [detecting(40), detecting(15, windows=((15, 30),), name="other")]
        assert score_corpus(perfect, profile).score == pytest.approx(100)
        assert score_corpus([detecting()], profile).score == pytest.approx(0)


def test_rows_in_probation_are_not_scored():
    assert score_file(detecting(*range(15)), STANDARD, 0.5) == -1.0
    assert score_file(detecting(14, 15), STANDARD, 0.5) == pytest.approx(-1.11)
    # A long file has 750 such rows.
    assert score_file(detecting(749, windows=(), num_rows=10_000), STANDARD, 0.5) == 0
    assert score_file(detecting(750, windows=(), num_rows=10_000), STANDARD, 0.5) == pytest.approx(-0.11)


def test_a_window_wholly_in_probation_does_not_count():
    found = score_corpus([detecting(40, windows=((2, 5), WINDOW))], STANDARD)

    assert (found.score, found.windows, found.detected_windows, found.false_alarms) == (pytest.approx(100), 1, 1, 0)


def test_one_threshold_serves_the_whole_corpus():
    def ranked(name: str, inside: float, outside: float) -> LabelledScores:
        scores = np.zeros(NUM_ROWS)
        scores[40], scores[20:30] = inside, outside
        return score_rows(name, scores, (WINDOW,))

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
        score_rows(str(half), np.array(scores[half::2]) / 6, windows)
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


def surprised_at(rows: dict[int, float], *, name: str = "one") -> LabelledSurprise:
    surprise = np.zeros(NUM_ROWS)
    surprise[list(rows)] = list(rows.values())
    return LabelledSurprise(name=name, surprise=surprise, windows=(WINDOW,), warm_up_rows=15, gap_rows=5)


def test_an_event_is_one_alarm_and_rings_once():
    scores = score_alarms([surprised_at(dict.fromkeys([3, 40, 42, 46, 60, 65, 70], 8.0))], 7.0)

    # Rows 60 to 70 are one false alarm, and the warm-up is silent.
    assert (scores["standard"].detected_windows, scores["standard"].false_alarms) == (1, 1)
    assert scores["reward_low_FP"].score < scores["standard"].score < 100
    assert score_alarms([surprised_at({40: 8.0})], 7.0)["standard"].score == pytest.approx(100)


def test_labels_choose_the_threshold_that_scores_best_for_each_profile():
    corpus = [surprised_at({40: 9.0, 20: 8.0}), surprised_at({41: 7.5}, name="other")]
    chosen = choose_by_labels(corpus, [6.0, 7.0, 8.5, 9.5])

    assert chosen["standard"].threshold == 6.0
    assert all(chosen["standard"].score >= score_alarms(corpus, t)["standard"].score for t in (6.0, 7.0, 8.5, 9.5))
    assert choose_by_labels([surprised_at({20: 8.0})], [7.0, 9.0])["standard"].score == 0
