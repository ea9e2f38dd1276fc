"""Values are scored by those before them, row by row as by a detector that sees one at a time."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.nab_scores import score_by_windowed_gaussian


def score_one_by_one(values: np.ndarray, window_rows: int, step_rows: int) -> list[float]:
    """The benchmark's own detector as it reads: a window, and a buffer that moves it on."""
    window, buffer, scores = [], [], []
    for value in values:
        deviation = (np.std(window) or 1e-6) if window else 1.0
        scores.append(1 - stats.norm.sf(abs(value - np.mean(window)) / deviation) if window else 0.0)
        if len(window) < window_rows:
            window.append(value)
        else:
            buffer.append(value)
            if len(buffer) == step_rows:
                window, buffer = [*window[step_rows:], *buffer], []
    return scores


@pytest.mark.parametrize(("window_rows", "step_rows"), [(6400, 100), (20, 7), (5, 1)])
def test_all_rows_at_once_score_as_one_after_the_other(window_rows: int, step_rows: int):
    values = 50 + np.random.default_rng(1).standard_normal(120).cumsum()

    scores = score_by_windowed_gaussian(values, window_rows=window_rows, step_rows=step_rows)

    assert scores == pytest.approx(score_one_by_one(values, window_rows, step_rows), abs=1e-9)


def test_a_change_after_a_flat_line_is_certain():
    scores = score_by_windowed_gaussian(np.array([45.0] * 10 + [45.1]))

    assert scores.tolist() == [0.0] + [0.5] * 9 + [1.0]


def test_the_future_changes_no_score():
    values = np.random.default_rng(2).standard_normal(60)
    changed = np.append(values[:40], values[40:] * 9)

    scores, other = (score_by_windowed_gaussian(one, window_rows=10, step_rows=3) for one in (values, changed))

    assert (scores[:40] == other[:40]).all()
