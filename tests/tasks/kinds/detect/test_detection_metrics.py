"""Rankings of rows are scored as by hand, and as by the TSB-AD benchmark's own code."""

import numpy as np
import pytest

from tasks.kinds.detect.detection_metrics import average_precision, find_anomalies, vus_pr

LABELS = np.zeros(400, int)
LABELS[100:120] = LABELS[300:303] = 1
ROWS = np.arange(400)
SCORES = np.sin(ROWS * 1.0) + np.where((ROWS >= 95) & (ROWS < 112), 1.5, 0)


def test_average_precision_is_what_is_computed_by_hand():
    # Anomalies at ranks 1 and 3: (1/1 + 2/3) / 2.
    assert average_precision(np.array([4.0, 3.0, 2.0, 1.0]), np.array([1, 0, 1, 0])) == pytest.approx(5 / 6)


def test_runs_of_labels_are_found_at_both_ends():
    assert find_anomalies(np.array([1, 1, 0, 1, 0, 0, 1])).tolist() == [[0, 1], [3, 3], [6, 6]]
    assert find_anomalies(np.zeros(3)).tolist() == []


@pytest.mark.parametrize(
    ("max_buffer", "expected"),
    # Figures of `generate_curve` in TSB-AD 1.5 with its 250 thresholds; 60 random cases agreed to 1e-15.
    [(0, 0.20724891444881763), (10, 0.31724005931490745), (50, 0.5000734094548912)],
)
def test_the_volume_agrees_with_the_benchmark_that_defined_it(max_buffer: int, expected: float):
    assert vus_pr(SCORES, LABELS, max_buffer=max_buffer) == pytest.approx(expected, abs=1e-12)


def test_without_buffer_or_missed_anomaly_the_volume_is_the_average_precision():
    labels = np.zeros(250, int)
    labels[40:80] = 1
    scores = np.random.default_rng(1).permutation(250) + 50.0 * labels

    # Of 250 rows each is a threshold, and the only anomaly is met by the first one that hits it.
    assert vus_pr(scores, labels, max_buffer=0) == pytest.approx(average_precision(scores, labels))


def test_a_detection_just_beside_an_anomaly_earns_with_a_buffer_only():
    near = np.where((ROWS >= 121) & (ROWS < 125), 1.0, 0.0)
    far = np.roll(near, 100)
    single = np.where(ROWS < 200, LABELS, 0)

    assert vus_pr(near, single, max_buffer=0) == pytest.approx(vus_pr(far, single, max_buffer=0))
    assert vus_pr(near, single, max_buffer=20) > 1.5 * vus_pr(far, single, max_buffer=20)


def test_more_detections_of_one_anomaly_do_not_make_up_for_another_that_is_missed():
    both = np.where(LABELS, 1.0, 0.0)
    one = np.where(ROWS < 200, both, 0.0)

    assert vus_pr(both, LABELS, max_buffer=0) == pytest.approx(1.0, abs=0.15)
    assert vus_pr(one, LABELS, max_buffer=0) < 0.6


def test_without_an_anomaly_nothing_is_defined():
    labels = np.zeros(400, int)

    assert np.isnan(average_precision(SCORES, labels))
    assert np.isnan(vus_pr(SCORES, labels, max_buffer=5))
