import numpy as np
import pytest
from sklearn import metrics as reference

from tasks.labelled.metrics import (
    Sample,
    bin_by_confidence,
    count_confusion,
    fit_temperature,
    log_softmax,
    mean_loss,
    measure_with_intervals,
)


def draw_sample(
    num_rows: int, num_classes: int, *, temperature: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and targets drawn from the probabilities that they give when divided by `temperature`."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, size=(num_rows, num_classes)).astype(np.float32)
    probabilities = np.exp(log_softmax(logits / temperature))
    targets = (generator.random((num_rows, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    return logits, targets.astype(np.uint16)


def measure(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None, bins: int = 15) -> dict:
    weights = np.ones((len(targets), 1)) if weights is None else weights
    return Sample(logits, targets, 1.0, bins).measure(weights)


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_metrics_equal_those_of_scikit_learn(num_classes: int) -> None:
    logits, targets = draw_sample(500, num_classes)
    logits = logits.round(1)  # ties between scores
    probabilities, predicted = np.exp(log_softmax(logits)), logits.argmax(axis=1)
    measured = measure(logits, targets)
    average = "binary" if num_classes == 2 else "macro"
    scores = probabilities[:, 1] if num_classes == 2 else probabilities
    assert measured["loss"] == pytest.approx(reference.log_loss(targets, probabilities))
    assert measured["accuracy"] == pytest.approx(reference.accuracy_score(targets, predicted))
    assert measured["f1"] == pytest.approx(reference.f1_score(targets, predicted, average=average))
    assert measured["auc"] == pytest.approx(reference.roc_auc_score(targets, scores, multi_class="ovr"))
    assert (count_confusion(logits, targets) == reference.confusion_matrix(targets, predicted)).all()


@pytest.mark.parametrize("num_classes", [2, 3])
def test_weighting_rows_equals_repeating_them(num_classes: int) -> None:
    logits, targets = draw_sample(200, num_classes)
    counts = np.random.default_rng(1).integers(0, 4, size=200)
    weighted = measure(logits, targets, counts[:, None].astype(float))
    repeated = measure(np.repeat(logits, counts, axis=0), np.repeat(targets, counts))
    assert weighted.keys() == repeated.keys()
    for name, value in weighted.items():
        assert value == pytest.approx(repeated[name]), name


def test_the_calibration_error_of_a_worked_example() -> None:
    # Two rows with confidence 0.9, one of them right; two with 0.6, both right.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    measured = measure(np.log(probabilities), np.array([0, 1, 1, 1]), bins=5)
    assert measured["ece"] == pytest.approx((abs(0.5 - 0.9) * 2 + abs(1.0 - 0.6) * 2) / 4)


def test_calibration_bins_hold_every_row_and_give_the_calibration_error() -> None:
    logits, targets = draw_sample(800, 3)
    bins = bin_by_confidence(logits, targets, num_bins=15, level=0.95)
    gaps = [one["rows"] * abs(one["confidence"] - one["accuracy"]["value"]) for one in bins]
    assert sum(one["rows"] for one in bins) == 800
    assert sum(gaps) / 800 == pytest.approx(measure(logits, targets)["ece"][0])
    assert all(one["accuracy"]["low"] <= one["accuracy"]["value"] <= one["accuracy"]["high"] for one in bins)


@pytest.mark.parametrize("planted", [0.5, 1.0, 2.5])
def test_a_planted_temperature_is_recovered(planted: float) -> None:
    logits, targets = draw_sample(40_000, 3, temperature=planted)
    assert fit_temperature(logits, targets) == pytest.approx(planted, rel=0.03)


def test_rows_without_a_mistake_make_a_model_as_sure_as_their_number_warrants() -> None:
    logits, targets = np.array([[2.0, 0.0], [0.0, 2.0]]), np.array([0, 1])
    for copies in (1, 30, 1_000):
        few = fit_temperature(np.tile(logits, (copies, 1)), np.tile(targets, copies))
        # Of n rows all right, the probability that fits the smoothed targets is 1 - 1 / (2 (n + 2)).
        assert 1 / (1 + np.exp(-2 / few)) == pytest.approx(1 - 1 / (2 * (2 * copies + 2)), rel=1e-4)


def test_scaling_by_a_planted_temperature_mends_loss_and_calibration_but_no_prediction() -> None:
    logits, targets = draw_sample(20_000, 2, temperature=3.0)
    measured = Sample(logits, targets, 3.0, 15).measure(np.ones((20_000, 1)))
    assert measured["loss_scaled"] == pytest.approx(mean_loss(logits / 3, targets))
    assert measured["loss_scaled"] < measured["loss"] - 0.1
    assert measured["ece_scaled"] < measured["ece"] / 5


def test_the_interval_of_the_calibration_error_covers_the_truth() -> None:
    temperature, truth_logits, truth_targets = 2.0, *draw_sample(300_000, 2, temperature=2.0, seed=9)
    truth = measure(truth_logits, truth_targets)["ece"][0]
    covered = 0
    for trial in range(40):
        sample = Sample(*draw_sample(400, 2, temperature=temperature, seed=trial), 1.0, 15)
        interval = measure_with_intervals(sample, resamples=200, confidence=0.95, seed=trial)["ece"]
        covered += interval["low"] <= truth <= interval["high"]
    assert covered >= 30


def test_the_bootstrap_width_of_accuracy_is_that_of_a_binomial() -> None:
    logits, targets = draw_sample(5_000, 2)
    sample = Sample(logits, targets, 1.0, 15)
    interval = measure_with_intervals(sample, resamples=1_000, confidence=0.95, seed=1)["accuracy"]
    share = interval["value"]
    assert interval["high"] - interval["low"] == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / 5_000), rel=0.1)
    assert interval == measure_with_intervals(sample, resamples=1_000, confidence=0.95, seed=1)["accuracy"]


def test_the_auc_of_a_single_class_is_left_out() -> None:
    sample = Sample(np.array([[0.0, 1.0], [0.0, 2.0]]), np.array([1, 1]), 1.0, 15)
    measured = measure_with_intervals(sample, resamples=100, confidence=0.95, seed=1)
    assert set(measured) == {"loss", "accuracy", "f1", "ece", "loss_scaled", "ece_scaled"}


def test_a_class_that_never_occurs_does_not_lower_the_macro_averages() -> None:
    logits = np.array([[5.0, 0.0, -9.0], [0.0, 5.0, -9.0]])
    measured = measure(logits, np.array([0, 1]))
    assert measured["f1"] == pytest.approx(1.0)
    assert measured["auc"] == pytest.approx(1.0)
