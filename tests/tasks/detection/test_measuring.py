"""Detectors are measured after the warm-up: alarms by events, surprise by how it ranks rows."""

import math

import numpy as np
import pytest

from tasks.detection.measuring import (
    FileScore,
    LabelledSurprise,
    choose_by_labels,
    measure_ranking,
    score_alarms,
    score_series,
)

NUM_ROWS, WARM_UP, WINDOW = 100, 15, (40, 49)


def surprised_at(rows: dict[int, float], *, windows=(WINDOW,), name: str = "one") -> LabelledSurprise:
    surprise = np.zeros(NUM_ROWS)
    surprise[list(rows)] = list(rows.values())
    return LabelledSurprise(name=name, surprise=surprise, windows=windows, warm_up_rows=WARM_UP, gap_rows=5)


def test_an_event_is_one_alarm_and_rings_once():
    scores = score_alarms([surprised_at(dict.fromkeys([3, 40, 42, 46, 60, 65, 70], 8.0))], 7.0)

    # Rows 60 to 70 are one false alarm, and the warm-up is silent.
    assert (scores["standard"].detected_windows, scores["standard"].false_alarms) == (1, 1)
    assert scores["reward_low_FP"].score < scores["standard"].score < 100
    assert score_alarms([surprised_at({40: 8.0})], 7.0)["standard"].score == pytest.approx(100)


def test_a_series_is_scored_alone_even_if_it_has_no_window():
    assert score_series(surprised_at({40: 8.0, 20: 8.0}), 7.0) == FileScore(
        windows=1, found=1, false_alarms=1, raw=pytest.approx(1 - 0.11)
    )
    assert score_series(surprised_at({20: 8.0}, windows=()), 7.0) == FileScore(0, 0, 1, pytest.approx(-0.11))


def test_labels_choose_the_threshold_that_scores_best_for_each_profile():
    corpus = [surprised_at({40: 9.0, 20: 8.0}), surprised_at({41: 7.5}, name="other")]
    chosen = choose_by_labels(corpus, [6.0, 7.0, 8.5, 9.5])

    assert chosen["standard"].threshold == 6.0
    assert all(chosen["standard"].score >= score_alarms(corpus, t)["standard"].score for t in (6.0, 7.0, 8.5, 9.5))
    assert choose_by_labels([surprised_at({20: 8.0})], [7.0, 9.0])["standard"].score == 0


def test_ranking_takes_surprise_itself_and_leaves_out_the_warm_up():
    perfect = measure_ranking(surprised_at(dict.fromkeys([0, *range(40, 50)], 8.0)))

    assert perfect.auc_pr == pytest.approx(1)
    assert perfect.vus_pr == pytest.approx(1)
    worse = measure_ranking(surprised_at({30: 9.0} | dict.fromkeys(range(40, 50), 8.0)))
    assert worse.auc_pr == pytest.approx(10 / 11)
    assert worse.vus_pr < 0.98
    assert math.isnan(measure_ranking(surprised_at({20: 9.0}, windows=())).vus_pr)
