"""The line: a ridge regression of the next steps on the steps before, shared by all channels, in closed form.

A window's last value is subtracted from its history and its future, so that the line has no level of its own.
A view is a matrix that makes features of the steps; a regression on features is one on the steps again.
Shapes: B windows, T = L + H steps, L look-back, H horizon, C channels, F features, R trials, P penalties.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmodels.forecasters.windows import Windows

ROWS_PER_BATCH = 2048
LEAST_ERROR = 1e-12  # of a series that stands still; rounding may put it at or below 0


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
    """Mean products of all pairs of steps (T, T), in float64: all that a line and its error on B windows depend on."""

    gram: NDArray[np.float64]
    look_back: int
    num_windows: int

    def looking_back(self, num_steps: int) -> "Moments":
        """Leave out all but the last steps of the look-back."""
        first = self.look_back - num_steps
        return Moments(self.gram[first:, first:], num_steps, self.num_windows)

    def without(self, part: "Moments") -> "Moments":
        """Leave out some of the windows, fewer than all."""
        num_windows = self.num_windows - part.num_windows
        sum_TT = self.num_windows * self.gram - part.num_windows * part.gram
        return Moments(sum_TT / num_windows, self.look_back, num_windows)

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


@dataclass(frozen=True)
class Trial:
    """What a line is fitted to, and what it is judged by."""

    fitted: Moments
    judged: Moments


def fit_ridge(train: Windows, valid: Windows, penalties: Sequence[float]) -> Ridge:
    """Fit one line per penalty to the training windows and keep the one with the lowest error on validation.

    Raises ValueError where a split has no windows.
    """
    validation = Trial(measure_moments(train), measure_moments(valid))
    return choose_ridge(validation, [], penalties, np.eye(train.shape.look_back))


def choose_ridge(
    validation: Trial, blocks: Iterable[Trial], penalties: Sequence[float], view_LF: NDArray[np.float64]
) -> Ridge:
    """Fit one line per penalty to a view of the training windows; keep the best on validation and blocks together.

    The best has the least mean logarithm of errors, so that a loud block counts no more than a quiet one.
    """
    candidates = [validation.fitted.solve(penalty, view_LF) for penalty in penalties]
    errors_P = [validation.judged.error_of(weights_LH) for weights_LH in candidates]
    errors_RP = [errors_P, *(_try_penalties(block, penalties, view_LF) for block in blocks)]
    best = int(np.argmin(np.log(np.maximum(errors_RP, LEAST_ERROR)).mean(axis=0)))
    return Ridge(candidates[best].astype(np.float32), penalties[best], errors_P[best])


def _try_penalties(trial: Trial, penalties: Sequence[float], view_LF: NDArray[np.float64]) -> list[float]:
    return [trial.judged.error_of(trial.fitted.solve(penalty, view_LF)) for penalty in penalties]


def cut_blocks(windows: Windows, whole: Moments, num_blocks: int) -> Iterator[Trial]:
    """Leave out each block of windows in a row in turn: it judges what all windows that share no target with it fit.

    Raises ValueError for so few windows that none are left to fit.
    """
    reach = -(-windows.shape.horizon // windows.stride) - 1  # this many windows before and after share a target
    edges = [windows.num_rows * index // num_blocks for index in range(num_blocks + 1)]
    for first, stop in itertools.pairwise(edges):
        near = range(max(0, first - reach), min(windows.num_rows, stop + reach))
        if first == stop or len(near) == windows.num_rows:
            raise ValueError(
                f"{windows.place}: got {windows.num_rows} windows, expected more for {num_blocks} blocks that leave "
                "some to fit"
            )
        yield Trial(whole.without(measure_moments(windows, near)), measure_moments(windows, range(first, stop)))


def measure_moments(windows: Windows, ids: range | None = None) -> Moments:
    """Sum the products of steps over all windows, or those of some ids, and all channels, batch by batch."""
    shape = windows.shape
    ids = range(windows.num_rows) if ids is None else ids
    if not ids:
        raise ValueError(f"no windows in {windows.place}, expected at least one")
    sum_TT = np.zeros((shape.num_steps, shape.num_steps))
    batch_size = max(1, ROWS_PER_BATCH // shape.num_channels)
    for first in range(0, len(ids), batch_size):
        batch = windows.take(np.array(ids[first : first + batch_size]))
        values_BTC = np.concatenate([batch.history, batch.future], axis=1).astype(np.float64)
        values_BTC -= values_BTC[:, shape.look_back - 1 : shape.look_back]
        rows_NT = values_BTC.transpose(0, 2, 1).reshape(-1, shape.num_steps)
        sum_TT += rows_NT.T @ rows_NT
    return Moments(sum_TT / (len(ids) * shape.num_channels), shape.look_back, len(ids))
