"""Logistic regressions as baselines: the penalty is chosen on validation, the scores are stored as for any model."""

import copy
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import polars as pl

from tasks.contract.summaries import ModelSummary
from tasks.labelled.metrics import log_softmax, mean_loss
from tasks.progress import Progress, emit

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    Features = np.ndarray | csr_matrix

SCORED = ("valid", "test")


class Regression(Protocol):
    """A linear classifier that is fitted under one penalty after another."""

    def fit(self, C: float, features: Any, targets: np.ndarray) -> None:  # noqa: ANN401 (rows of its own sort)
        """Fit it with the inverse strength C of the L2 penalty, from where the last fit ended."""

    def logits(self, features: Any) -> np.ndarray:  # noqa: ANN401
        """Logits float32 [rows, classes]."""


class LogisticModel:
    """A logistic regression, of all classes at once."""

    def __init__(self) -> None:
        """Prepare the first fit."""
        self.regression = new_regression()

    def fit(self, C: float, features: "Features", targets: np.ndarray) -> None:
        """Fit it with the inverse strength C of the L2 penalty, from where the last fit ended."""
        self.regression.set_params(C=C).fit(features, targets)

    def logits(self, features: "Features") -> np.ndarray:
        """Logits float32 [rows, classes]: 0 and the decision for two classes, else log-probabilities."""
        decision = self.regression.decision_function(features)
        logits = log_softmax(decision) if decision.ndim > 1 else np.column_stack([np.zeros_like(decision), decision])
        return logits.astype(np.float32)


def new_regression() -> "LogisticRegression":
    """Make a regression each fit of which starts from the last one."""
    from sklearn.linear_model import LogisticRegression

    # At 1e-4, the default tolerance, fits after the first would stop before they move.
    return LogisticRegression(warm_start=True, tol=1e-5, max_iter=1000)


RegressionT = TypeVar("RegressionT", bound=Regression)


@dataclass(frozen=True)
class Fit(Generic[RegressionT]):
    """A fitted regression with the penalty it was fitted under and its validation loss."""

    C: float
    regression: RegressionT
    valid_loss: float


def write_regression(
    folder: Path,
    name: str,
    rows: Mapping[str, pl.DataFrame],
    features: "Mapping[str, Features]",
    c_grid: Sequence[float],
    *,
    started_s: float,
) -> ModelSummary:
    """Fit a regression to rows (row, target) and their features, and store its predictions, as for any model."""
    targets = {split: of_split["target"].to_numpy() for split, of_split in rows.items()}
    fit = choose_regression(name, LogisticModel(), features, targets, c_grid)
    logits = {split: fit.regression.logits(features[split]) for split in SCORED}
    facts = {"C": fit.C, "num_features": features["train"].shape[1]}
    return store_scores(folder, name, rows, logits, started_s=started_s, **facts)


def store_scores(
    folder: Path,
    name: str,
    rows: Mapping[str, pl.DataFrame],
    logits: Mapping[str, np.ndarray],
    *,
    started_s: float,
    **facts: Any,  # noqa: ANN401 (JSON values)
) -> ModelSummary:
    """Store the logits of validation and test rows, which have the columns row and target, as for any model."""
    predictions = pl.concat(
        rows[split].select(
            pl.lit(split).alias("split"), "row", "target", pl.Series("logits", logits[split]).arr.to_list()
        )
        for split in SCORED
    )
    predictions.write_parquet(folder / "predictions.parquet")
    (folder / "history.json").write_text(json.dumps([]), encoding="utf-8")
    seconds = round(time.perf_counter() - started_s, 3)
    return ModelSummary(rows=predictions.height, name=name, train_s=seconds, **facts)


def choose_regression(
    name: str,
    regression: RegressionT,
    features: "Mapping[str, Features]",
    targets: Mapping[str, np.ndarray],
    c_grid: Sequence[float],
) -> Fit[RegressionT]:
    """Fit a regression per penalty, from strong to weak, and return the one with the lowest validation loss."""
    fits = []
    for done, C in enumerate(sorted(c_grid), start=1):
        regression.fit(C, features["train"], targets["train"])
        loss = mean_loss(regression.logits(features["valid"]), targets["valid"])
        fits.append(Fit(C, copy.deepcopy(regression), loss))
        emit(Progress("baseline", name, done, len(c_grid), "fits", {"C": C, "valid_loss": loss}))
    return min(fits, key=lambda fit: fit.valid_loss)
