"""The NAB score of a file is what one computes by hand."""

from math import exp

import numpy as np
import pytest

from tasks.kinds.detect.detection_metrics import PROFILES, LabelledScores, score_file

STANDARD = PROFILES["standard"]
NUM_ROWS, WINDOW = 100, (40, 49)  # the first 15 rows are not scored


def detecting(*rows: int, windows=(WINDOW,)) -> LabelledScores:
    """A file whose detector is sure of the given rows only."""
    scores = np.isin(np.arange(NUM_ROWS), rows) * 1.0
    return LabelledScores(name="file", scores=scores, windows=windows, is_scored=np.arange(NUM_ROWS) >= 15)


def sigmoid(position: float) -> float:
    return 2 / (1 + exp(5 * position)) - 1


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


def test_a_window_of_one_row_can_be_scored():
    assert score_file(detecting(40, windows=((40, 40),)), STANDARD, 0.5) == pytest.approx(1.0)
