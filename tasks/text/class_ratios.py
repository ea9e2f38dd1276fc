"""Logistic regressions of n-grams that are weighed by their log-count ratios (Wang and Manning 2012, NB-LR).

An n-gram counts by its presence, times the log of how much more often texts of a class hold it than the others do.
Shapes: N texts, G n-grams, K columns: one for two classes, that of the second, else one for each class.
"""

from typing import TYPE_CHECKING

import numpy as np

from tasks.labelled.linear import new_regression
from tasks.text.ngram_model import Link, logits_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

LINK: Link = "one-against-rest"
SMOOTHING = 1.0
TWO = 2


class RatioRegression:
    """A regression for each class against the rest, on presence [N, G] weighed by the ratios of that class."""

    def __init__(self, presence: "csr_matrix", targets: np.ndarray, num_classes: int) -> None:
        """Learn the ratios from the training texts."""
        self.classes = range(1, TWO) if num_classes == TWO else range(num_classes)
        self.ratios = np.stack([log_count_ratios(presence, targets == index) for index in self.classes])
        self.regressions: list[LogisticRegression] = [new_regression() for _ in self.classes]

    def fit(self, C: float, features: "csr_matrix", targets: np.ndarray) -> None:
        """Fit all with the inverse strength C of the L2 penalty, from where the last fit ended."""
        for index, ratios, regression in zip(self.classes, self.ratios, self.regressions, strict=True):
            regression.set_params(C=C).fit(weigh_columns(features, ratios), targets == index)

    def logits(self, features: "csr_matrix") -> np.ndarray:
        """Logits float32 [N, classes]."""
        return logits_of(features @ self.weights + self.intercept, LINK)

    @property
    def weights(self) -> np.ndarray:
        """What the presence of each n-gram adds: float32 [G, K]."""
        coefficients = np.concatenate([regression.coef_ for regression in self.regressions])
        return (self.ratios * coefficients).astype(np.float32).T

    @property
    def intercept(self) -> np.ndarray:
        """What is added for any text: [K]."""
        return np.concatenate([regression.intercept_ for regression in self.regressions])


def log_count_ratios(presence: "csr_matrix", inside: np.ndarray) -> np.ndarray:
    """Log of the share of each n-gram among those of the texts inside, over its share among the others: float32 [G]."""
    shares = []
    for texts in (inside, ~inside):
        counts = SMOOTHING + np.asarray(presence[texts].sum(axis=0), dtype=np.float64).ravel()
        shares.append(np.log(counts / counts.sum()))
    return (shares[0] - shares[1]).astype(np.float32)


def weigh_columns(presence: "csr_matrix", ratios: np.ndarray) -> "csr_matrix":
    """Put the ratio of an n-gram wherever it is present."""
    return type(presence)((ratios[presence.indices], presence.indices, presence.indptr), shape=presence.shape)
