import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from tasks.text.class_ratios import RatioRegression, log_count_ratios

TARGETS = np.arange(90) % 3


@pytest.fixture
def presence() -> csr_matrix:
    """Seven n-grams, of which the first three are more frequent in one class each."""
    generator = np.random.default_rng(3)
    share = np.full((3, 7), 0.3) + np.eye(3, 7) * 0.4
    return csr_matrix((generator.random((90, 7)) < share[TARGETS]).astype(np.float32))


def test_ratios_are_those_of_wang_and_manning(presence: csr_matrix) -> None:
    inside = TARGETS == 0
    p, q = 1 + presence.toarray()[inside].sum(axis=0), 1 + presence.toarray()[~inside].sum(axis=0)
    expected = np.log((p / np.abs(p).sum()) / (q / np.abs(q).sum()))
    assert log_count_ratios(presence, inside) == pytest.approx(expected, abs=1e-6)
    assert log_count_ratios(presence, inside).argmax() == 0


def test_two_classes_take_one_regression_on_presence_times_ratios(presence: csr_matrix) -> None:
    targets = (TARGETS == 0).astype(np.uint16)
    regression = RatioRegression(presence, targets, 2)
    regression.fit(0.5, presence, targets)
    weighed = presence.toarray() * log_count_ratios(presence, targets == 1)
    expected = LogisticRegression(C=0.5, tol=1e-6).fit(weighed, targets).decision_function(weighed)
    assert regression.weights.shape == (7, 1)
    assert regression.logits(presence) == pytest.approx(np.column_stack([0 * expected, expected]), abs=1e-2)


def test_several_classes_take_one_against_the_rest_each(presence: csr_matrix) -> None:
    regression = RatioRegression(presence, TARGETS, 3)
    for C in (0.1, 1):
        regression.fit(C, presence, TARGETS)
    probabilities = np.exp(regression.logits(presence))
    assert regression.weights.shape == (7, 3)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    odds = 1 / (1 + np.exp(-(presence @ regression.weights + regression.intercept)))
    assert probabilities == pytest.approx(odds / odds.sum(axis=1, keepdims=True), abs=1e-5)
    assert (probabilities.argmax(axis=1) == TARGETS).mean() > 0.5


def test_no_odds_are_too_long_to_be_told(presence: csr_matrix) -> None:
    regression = RatioRegression(presence, TARGETS, 3)
    regression.fit(1, presence, TARGETS)
    far = regression.logits(presence * 1e6)
    assert np.isfinite(far).all()
