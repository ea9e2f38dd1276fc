"""Logistic regressions as baselines: the penalty is chosen on validation, the scores are stored as for any model."""

import copy
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tasks.contract.summaries import ModelSummary
from tasks.labelled.metrics import log_softmax, mean_loss
from tasks.progress import Progress, emit

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    Features = np.ndarray | csr_matrix


@dataclass(frozen=True)
class Fit:
    """A fitted regression with the penalty it was fitted under and its validation loss."""

    C: float
    regression: "LogisticRegression"
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
    fit = choose_regression(name, features, targets, c_grid)
    predictions = tabulate_scores(fit.regression, rows, features)
    predictions.write_parquet(folder / "predictions.parquet")
    (folder / "history.json").write_text(json.dumps([]), encoding="utf-8")
    seconds = round(time.perf_counter() - started_s, 3)
    num_features = features["train"].shape[1]
    return ModelSummary(rows=predictions.height, name=name, train_s=seconds, C=fit.C, num_features=num_features)


def choose_regression(
    name: str, features: "Mapping[str, Features]", targets: Mapping[str, np.ndarray], c_grid: Sequence[float]
) -> Fit:
    """Fit one regression per penalty, from strong to weak, and return the one with the lowest validation loss."""
    from sklearn.linear_model import LogisticRegression

    # Each fit starts from the last one. At 1e-4, the default tolerance, the later ones would stop before they move.
    regression = LogisticRegression(warm_start=True, tol=1e-5, max_iter=1000)
    fits = []
    for done, C in enumerate(sorted(c_grid), start=1):
        regression.set_params(C=C).fit(features["train"], targets["train"])
        loss = mean_loss(score_rows(regression, features["valid"]), targets["valid"])
        fits.append(Fit(C, copy.deepcopy(regression), loss))
        emit(Progress("baseline", name, done, len(c_grid), "fits", {"C": C, "valid_loss": loss}))
    return min(fits, key=lambda fit: fit.valid_loss)


def score_rows(regression: "LogisticRegression", features: "Features") -> np.ndarray:
    """Return float32 [rows, classes]: 0 and the decision for two classes, else log-probabilities."""
    decision = regression.decision_function(features)
    logits = log_softmax(decision) if decision.ndim > 1 else np.column_stack([np.zeros_like(decision), decision])
    return logits.astype(np.float32)


def tabulate_scores(
    regression: "LogisticRegression", rows: Mapping[str, pl.DataFrame], features: "Mapping[str, Features]"
) -> pl.DataFrame:
    """Score validation and test rows, which have the columns row and target: split, row, target, logits."""
    return pl.concat(
        rows[split].select(
            pl.lit(split).alias("split"),
            "row",
            "target",
            pl.Series("logits", score_rows(regression, features[split])).arr.to_list(),
        )
        for split in ("valid", "test")
    )
