"""The line: a ridge regression of the next steps on the steps before, shared by all channels, in closed form.

A window's last value is subtracted from its history and its future, so that the line has no level of its own.
A view is a matrix that makes features of the steps; a regression on features is one on the steps again.
Shapes: B windows, T = L + H steps, L look-back, H horizon, C channels, F features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmodels.windows import Windows

ROWS_PER_BATCH = 2048


@dataclass(frozen=True)
class Ridge:
    """Weights (L, H), the penalty they were fitted with, and its mean squared error on validation."""

    weights: NDArray[np.float32]
    penalty: float
    valid_mse: float

    def forecast(self, history_BLC: NDArray[np.float32]) -> NDArray[np.float32]:
        """Forecast the next steps (B, H, C)."""
        last_B1C = history_BLC[:, -1:]
        change_BCH = (history_BLC - last_B1C).transpose(0, 2, 1) @ self.weights
        return change_BCH.transpose(0, 2, 1) + last_B1C


@dataclass(frozen=True)
class Moments:
    """Mean products of all pairs of steps (T, T), in float64: all that a line and its error depend on."""

    gram: NDArray[np.float64]
    look_back: int

    def looking_back(self, num_steps: int) -> "Moments":
        """Leave out all but the last steps of the look-back."""
        first = self.look_back - num_steps
        return Moments(self.gram[first:, first:], num_steps)

    def solve(self, penalty: float, view_LF: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weights (L, H) of the least squared error plus `penalty` times the squared weights of features."""
        before_FT = view_LF.T @ self.gram[: self.look_back]
        gram_FF, with_future_FH = before_FT[:, : self.look_back] @ view_LF, before_FT[:, self.look_back :]
        return view_LF @ np.linalg.solve(gram_FF + penalty * np.eye(len(gram_FF)), with_future_FH)

    def error_of(self, weights_LH: NDArray[np.float64]) -> float:
        """Mean squared error of a line on these rows, over all steps of the horizon."""
        horizon = weights_LH.shape[1]
        combination_HT = np.concatenate([-weights_LH.T, np.eye(horizon)], axis=1)
        return float(np.einsum("ht,ts,hs->", combination_HT, self.gram, combination_HT, optimize=True) / horizon)


def fit_ridge(train: Windows, valid: Windows, penalties: Sequence[float]) -> Ridge:
    """Fit one line per penalty to the training windows and keep the one with the lowest error on validation.

    Raises ValueError where a split has no windows.
    """
    return choose_ridge(measure_moments(train), measure_moments(valid), penalties, np.eye(train.shape.look_back))


def choose_ridge(fitted: Moments, judged: Moments, penalties: Sequence[float], view_LF: NDArray[np.float64]) -> Ridge:
    """Fit one line per penalty to what a view makes of the training rows, and keep the best on validation."""
    candidates = [fitted.solve(penalty, view_LF) for penalty in penalties]
    errors = [judged.error_of(weights_LH) for weights_LH in candidates]
    best = int(np.argmin(errors))
    return Ridge(candidates[best].astype(np.float32), penalties[best], errors[best])


def measure_moments(windows: Windows) -> Moments:
    """Sum the products of steps over all windows and channels, batch by batch."""
    shape = windows.shape
    if windows.num_rows == 0:
        raise ValueError(f"no windows in {windows.place}, expected at least one")
    sum_TT = np.zeros((shape.num_steps, shape.num_steps))
    for batch in windows.batches(max(1, ROWS_PER_BATCH // shape.num_channels)):
        values_BTC = np.concatenate([batch.history, batch.future], axis=1).astype(np.float64)
        values_BTC -= values_BTC[:, shape.look_back - 1 : shape.look_back]
        rows_NT = values_BTC.transpose(0, 2, 1).reshape(-1, shape.num_steps)
        sum_TT += rows_NT.T @ rows_NT
    return Moments(sum_TT / (windows.num_rows * shape.num_channels), shape.look_back)
