"""Detectors are measured after the warm-up: alarms by events, surprise by how it ranks rows."""

import math

import numpy as np
import pytest

from tasks.kinds.detect.detection_metrics import PROFILES
from tasks.kinds.detect.measuring import FileScore, LabelledSurprise, measure_ranking, score_series

NUM_ROWS, WARM_UP, WINDOW = 100, 15, (40, 49)


def surprised_at(rows: dict[int, float], *, windows=(WINDOW,), name: str = "one") -> LabelledSurprise:
    surprise = np.zeros(NUM_ROWS)
    surprise[list(rows)] = list(rows.values())
    return LabelledSurprise(name=name, surprise=surprise, windows=windows, warm_up_rows=WARM_UP, gap_rows=5)


def test_a_series_is_scored_alone_even_if_it_has_no_window():
    assert score_series(surprised_at({40: 8.0, 20: 8.0}), 7.0) == FileScore(
        windows=1, found=1, false_alarms=1, raw=pytest.approx(1 - 0.11)
    )
    assert score_series(surprised_at({20: 8.0}, windows=()), 7.0) == FileScore(0, 0, 1, pytest.approx(-0.11))


def test_a_series_of_which_little_is_known_is_scored_by_that():
    known = np.ones(NUM_ROWS, bool)
    known[20:30] = False
    series = LabelledSurprise(
        name="one",
        surprise=surprised_at({25: 9.0, 40: 8.0}).surprise,
        windows=((22, 24), WINDOW),
        warm_up_rows=WARM_UP,
        gap_rows=5,
        is_known=known,
    )

    assert [event.start for event in series.find_events(7.0)] == [25, 40]
    assert score_series(series, 7.0) == FileScore(windows=1, found=1, false_alarms=0, raw=pytest.approx(1.0))
    # The first of the ten anomalous rows ranks highest, and the other 74 of the 75 known ones tie.
    assert measure_ranking(series).auc_pr == pytest.approx(0.1 * 1 + 0.9 * 10 / 75)


def test_a_warm_up_of_any_length_is_not_scored():
    late = LabelledSurprise(
        name="one", surprise=surprised_at({16: 9.0, 45: 9.0}).surprise, windows=((5, 9), (30, 49)), warm_up_rows=40,
        gap_rows=1,
    )  # fmt: skip

    # The first window lies in the warm-up, the second reaches out of it.
    score = score_series(late, 7.0)
    assert (score.windows, score.found, score.false_alarms) == (1, 1, 0)


def test_a_profile_weighs_what_was_missed():
    missed = surprised_at({20: 9.0})

    assert score_series(missed, 7.0, PROFILES["reward_low_FN"]).raw == pytest.approx(-2 - 0.11)
    assert score_series(missed, 7.0, PROFILES["reward_low_FP"]).raw == pytest.approx(-1 - 0.22)


def test_ranking_takes_surprise_itself_and_leaves_out_the_warm_up():
    perfect = measure_ranking(surprised_at(dict.fromkeys([0, *range(40, 50)], 8.0)))

    assert perfect.auc_pr == pytest.approx(1)
    assert perfect.vus_pr == pytest.approx(1)
    worse = measure_ranking(surprised_at({30: 9.0} | dict.fromkeys(range(40, 50), 8.0)))
    assert worse.auc_pr == pytest.approx(10 / 11)
    assert worse.vus_pr < 0.98
    assert math.isnan(measure_ranking(surprised_at({20: 9.0}, windows=())).vus_pr)
