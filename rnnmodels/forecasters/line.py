"""The line of a forecaster: the mean of ridge regressions, each of which views the look-back in its own way.

To it each channel may add its own regression: the habits that it alone has. This forecasts what the line leaves of the
channel's future from the channel's last steps, less the last value.

A view is a matrix that makes features of as many last steps as it has rows. A regression on features is one on the
steps again, so that all views together are one map.
Shapes: B windows, C channels, L look-back, H horizon, N steps of a view, F features, S steps of a season.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.forecasters.ridge import Trial, choose_ridge, cut_blocks, measure_moments
from rnnmodels.forecasters.windows import WindowBatch, Windows

RECENT_SEASONS = 7

WINDOWS_PER_BATCH = 256


@dataclass(frozen=True)
class Line:
    """Weights (L, H) of the mean of all views, the penalty of each, and its mean squared error on validation."""

    weights: NDArray[np.float32]
    penalties: dict[str, float]
    valid_mse: float


def fit_line(
    train: Windows,
    valid: Windows,
    penalties: Sequence[float],
    views: Mapping[str, NDArray[np.float64]],
    num_blocks: int = 0,
) -> Line:
    """Fit a ridge regression to each view (N, F) and average them.

    The penalty of each is the best on validation together with `num_blocks` blocks of training windows.
    A view of few steps is fitted to the windows near the start of the series as well.
    Raises ValueError where a split has no windows, or training too few for the blocks.
    """
    judged = measure_moments(valid)
    ridges = {}
    for name, view_NF in views.items():
        windows = train.looking_back(len(view_NF))
        validation = Trial(measure_moments(windows), judged.looking_back(len(view_NF)))
        blocks = cut_blocks(windows, validation.fitted, num_blocks) if num_blocks else ()
        ridges[name] = choose_ridge(validation, blocks, penalties, view_NF)
    weights_LH = np.mean([_extend(ridge.weights, train.shape.look_back) for ridge in ridges.values()], axis=0)
    chosen = {name: ridge.penalty for name, ridge in ridges.items()}
    return Line(weights_LH, chosen, judged.error_of(weights_LH.astype(np.float64)))


def _extend(weights_NH: NDArray[np.float32], look_back: int) -> NDArray[np.float32]:
    """Give the steps before those of a view no weight (L, H)."""
    return np.pad(weights_NH, ((look_back - len(weights_NH), 0), (0, 0)))


def build_views(architecture: ForecastArchitecture, look_back: int) -> dict[str, NDArray[np.float64]]:
    """Make an architecture's views (N, F); raises ValueError where the look-back is too short for one."""
    build = {
        "steps": lambda: view_steps(look_back, architecture.line_look_back or look_back),
        "profiles": lambda: view_profiles(look_back, architecture.profile_length),
    }
    return {name: build[name]() for name in architecture.line_views}


def view_steps(look_back: int, num_steps: int) -> NDArray[np.float64]:
    """The last steps, each a feature (N, F)."""
    _check_fits("line_look_back", num_steps, look_back)
    return np.eye(num_steps)


def view_profiles(look_back: int, season: int) -> NDArray[np.float64]:
    """The last season step by step, and the mean seasons of the last seven and of all seasons of the look-back (N, F).

    Sums are divided by the root of their number, so that the penalty bears on all features alike.
    """
    _check_fits("profile_length", season, look_back)
    num_seasons = look_back // season
    spans = sorted({1, min(RECENT_SEASONS, num_seasons), num_seasons})
    return np.concatenate([_view_mean_season(num_seasons, span, season) for span in spans], axis=1)


def _view_mean_season(num_seasons: int, span: int, season: int) -> NDArray[np.float64]:
    """Each phase's sum over the last `span` seasons, over the root of their number (N, S)."""
    is_seen = np.arange(num_seasons) >= num_seasons - span
    return np.kron(is_seen[:, None], np.eye(season)) / np.sqrt(span)


def _check_fits(setting: str, num_steps: int, look_back: int) -> None:
    if num_steps > look_back:
        raise ValueError(f"{setting}: got {num_steps}, expected at most the look-back {look_back}")


@dataclass(frozen=True)
class ChannelLines:
    """Weights (C, N, H) to be added to those of the line, and the mean squared error of their sum on validation."""

    weights: NDArray[np.float32]
    valid_mse: float


def fit_channel_lines(
    train: Windows, valid: Windows, line_LH: NDArray[np.float32], num_steps: int, penalty: float
) -> ChannelLines:
    """Fit a ridge regression per channel to what the line leaves; `penalty` is per window.

    Raises ValueError for more steps than the look-back.
    """
    if num_steps > len(line_LH):
        raise ValueError(f"channel_steps: got {num_steps}, expected at most the look-back {len(line_LH)}")
    num_channels, horizon = train.shape.num_channels, train.shape.horizon
    gram_CNN = np.zeros((num_channels, num_steps, num_steps))
    with_rest_CNH = np.zeros((num_channels, num_steps, horizon))
    for batch in train.batches(WINDOWS_PER_BATCH):
        recent_CBN, rest_CBH = _leave(batch, line_LH, num_steps)
        recent_CNB = recent_CBN.transpose(0, 2, 1)
        gram_CNN += recent_CNB @ recent_CBN
        with_rest_CNH += recent_CNB @ rest_CBH
    weights_CNH = np.linalg.solve(gram_CNN + train.num_rows * penalty * np.eye(num_steps), with_rest_CNH)
    return ChannelLines(weights_CNH.astype(np.float32), _measure_error(valid, line_LH, weights_CNH))


def _measure_error(windows: Windows, line_LH: NDArray[np.float32], weights_CNH: NDArray[np.float64]) -> float:
    square_sum = 0.0
    for batch in windows.batches(WINDOWS_PER_BATCH):
        recent_CBN, rest_CBH = _leave(batch, line_LH, weights_CNH.shape[1])
        square_sum += np.square(rest_CBH - recent_CBN @ weights_CNH).sum()
    return float(square_sum / (windows.num_rows * windows.shape.num_channels * windows.shape.horizon))


def _leave(
    batch: WindowBatch, line_LH: NDArray[np.float32], num_steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The last steps (C, B, N), and what the line leaves of the future (C, B, H)."""
    last_B1C = batch.history[:, -1:].astype(np.float64)
    history_CBL, future_CBH = ((values - last_B1C).transpose(2, 0, 1) for values in (batch.history, batch.future))
    return history_CBL[..., -num_steps:], future_CBH - history_CBL @ line_LH.astype(np.float64)
