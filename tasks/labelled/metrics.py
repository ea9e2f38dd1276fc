"""Metrics of a classifier with bootstrap intervals, its temperature and its calibration; all from logits.

    loss       mean negative log-likelihood, in nats
    accuracy   share of rows whose most probable class is the target
    f1         F1 of the last label for two classes; else the mean over the classes that occur (macro)
    auc        area under the ROC curve of the last label; else the mean over classes of one against the rest
    ece        expected calibration error: |confidence - accuracy| over equal-width bins of confidence
    loss_scaled, ece_scaled   the same after the logits are divided by the temperature fitted on validation

A metric that the rows leave undefined (the AUC of a single class) is left out.
Logits are [rows, classes], targets [rows], weights [rows, resamples].
Temperature and calibration error: Guo et al. (2017); targets for the temperature: Platt (1999).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from tasks.statistics.intervals import (
    Interval,
    draw_resamples,
    percentile_interval,
    reflected_interval,
    share_with_interval,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LOG_TEMPERATURE_BOUNDS = (-3.0, 3.0)
BIASED_UPWARDS = ("ece", "ece_scaled")


class Bin(TypedDict):
    """The rows of one bin of confidence: their mean confidence and their accuracy."""

    rows: int
    confidence: float
    accuracy: Interval


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits into log-probabilities, in float64."""
    from scipy import special

    return special.log_softmax(logits.astype(np.float64), axis=1)


def mean_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean negative log-likelihood of the targets, in nats."""
    return float(_row_losses(log_softmax(logits), targets).mean())


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Find the temperature between e^-3 and e^3 that minimises the loss of smoothed targets.

    A target keeps all but 1 / (rows + 2), which is spread over the classes: few rows without a mistake would otherwise
    make a model as sure as the bounds allow.
    """
    from scipy import optimize

    spread = 1 / (len(targets) + 2)

    def measure(log_temperature: float) -> float:
        log_probability = log_softmax(logits / np.exp(log_temperature))
        return (1 - spread) * float(_row_losses(log_probability, targets).mean()) - spread * log_probability.mean()

    found = optimize.minimize_scalar(measure, bounds=LOG_TEMPERATURE_BOUNDS, method="bounded")
    return float(np.exp(found.x))


def count_confusion(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Count rows by target (first axis) and predicted class (second axis)."""
    num_classes = logits.shape[1]
    cell = targets.astype(np.int64) * num_classes + logits.argmax(axis=1)
    return np.bincount(cell, minlength=num_classes**2).reshape(num_classes, num_classes)


def bin_by_confidence(logits: np.ndarray, targets: np.ndarray, *, num_bins: int, level: float) -> list[Bin]:
    """Compare confidence with accuracy in equal-width bins, the empty ones left out.

    `level` is the confidence level of the accuracies' intervals.
    """
    probability = np.exp(log_softmax(logits))
    confidence, correct = probability.max(axis=1), probability.argmax(axis=1) == targets
    bin_of_row = _bin_index(confidence, num_bins)
    return [
        {
            "rows": int(inside.sum()),
            "confidence": float(confidence[inside].mean()),
            "accuracy": share_with_interval(int(correct[inside].sum()), int(inside.sum()), level),
        }
        for inside in (bin_of_row == index for index in np.unique(bin_of_row))
    ]


@dataclass(frozen=True)
class Sample:
    """Predictions and targets, from which every metric follows by weighting rows; a bootstrap is nothing else."""

    logits: np.ndarray
    targets: np.ndarray
    temperature: float
    num_bins: int

    def measure(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Compute every metric for each column of row weights; NaN where it is undefined."""
        total = {name: statistic.T @ weights for name, statistic in self._statistics.items()}
        rows = weights.sum(axis=0)
        return {
            "loss": total["loss"][0] / rows,
            "accuracy": total["correct"].sum(axis=0) / rows,
            "f1": _f1(total["target"], total["predicted"], total["correct"]),
            "auc": self._auc(weights),
            "ece": np.abs(total["gap"]).sum(axis=0) / rows,
            "loss_scaled": total["loss_scaled"][0] / rows,
            "ece_scaled": np.abs(total["gap_scaled"]).sum(axis=0) / rows,
        }

    @cached_property
    def _log_probability(self) -> np.ndarray:
        return log_softmax(self.logits)

    @cached_property
    def _statistics(self) -> dict[str, "csr_matrix"]:
        """What each row adds to the totals that the metrics are made of."""
        num_classes = self.logits.shape[1]
        predicted = self.logits.argmax(axis=1)
        correct = predicted == self.targets
        raw, scaled = self._log_probability, log_softmax(self.logits / self.temperature)
        ones, zeros = np.ones(len(correct)), np.zeros(len(correct), dtype=np.int64)
        return {
            "target": _scatter(self.targets, num_classes, ones),
            "predicted": _scatter(predicted, num_classes, ones),
            "correct": _scatter(predicted, num_classes, correct),
            "loss": _scatter(zeros, 1, _row_losses(raw, self.targets)),
            "loss_scaled": _scatter(zeros, 1, _row_losses(scaled, self.targets)),
            "gap": self._gaps(raw, correct),
            "gap_scaled": self._gaps(scaled, correct),
        }

    def _gaps(self, log_probability: np.ndarray, correct: np.ndarray) -> "csr_matrix":
        confidence = np.exp(log_probability.max(axis=1))
        return _scatter(_bin_index(confidence, self.num_bins), self.num_bins, correct - confidence)

    def _auc(self, weights: np.ndarray) -> np.ndarray:
        num_classes = self.logits.shape[1]
        classes = [1] if num_classes == 2 else range(num_classes)  # noqa: PLR2004
        areas = [_auc(self._log_probability[:, k], self.targets == k, weights) for k in classes]
        return _mean_of_defined(np.stack(areas))


def measure_with_intervals(sample: Sample, *, resamples: int, confidence: float, seed: int) -> dict[str, Interval]:
    """Compute every defined metric with its bootstrap interval over rows."""
    num_rows = len(sample.targets)
    estimates = sample.measure(np.ones((num_rows, 1)))
    chunks = [sample.measure(weights) for weights in draw_resamples(num_rows, resamples, seed)]
    draws = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in estimates}
    return {
        name: (reflected_interval if name in BIASED_UPWARDS else percentile_interval)(
            float(estimate[0]), draws[name], confidence
        )
        for name, estimate in estimates.items()
        if np.isfinite(estimate[0])
    }


def _row_losses(log_probability: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return -np.take_along_axis(log_probability, targets[:, None].astype(np.int64), axis=1)[:, 0]


def _bin_index(confidence: np.ndarray, num_bins: int) -> np.ndarray:
    return np.minimum((confidence * num_bins).astype(np.int64), num_bins - 1)


def _scatter(column: np.ndarray, num_columns: int, value: np.ndarray) -> "csr_matrix":
    """Put each row's value into its column: sparse [rows, num_columns]."""
    from scipy.sparse import csr_matrix

    num_rows = len(column)
    return csr_matrix((value.astype(np.float64), column, np.arange(num_rows + 1)), (num_rows, num_columns))


def _f1(target: np.ndarray, predicted: np.ndarray, correct: np.ndarray) -> np.ndarray:
    occurring = target + predicted
    f1 = np.divide(2 * correct, occurring, out=np.full_like(occurring, np.nan), where=occurring > 0)
    return np.nan_to_num(f1[-1]) if len(f1) == 2 else _mean_of_defined(f1)  # noqa: PLR2004


def _auc(score: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of (positive, negative) pairs in the right order, ties counting half."""
    negatives = np.flatnonzero(~positive)
    negatives = negatives[np.argsort(score[negatives])]
    passed = np.vstack([np.zeros(weights.shape[1]), np.cumsum(weights[negatives], axis=0)])
    below, not_above = (np.searchsorted(score[negatives], score[positive], side) for side in ("left", "right"))
    positive_weights = weights[positive]
    pairs = positive_weights.sum(axis=0) * passed[-1]
    ordered = ((passed[below] + passed[not_above]) / 2 * positive_weights).sum(axis=0)
    return np.divide(ordered, pairs, out=np.full_like(pairs, np.nan), where=pairs > 0)


def _mean_of_defined(value: np.ndarray) -> np.ndarray:
    defined = np.isfinite(value)
    count = defined.sum(axis=0)
    total = np.where(defined, value, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
