"""The line of a forecaster: the mean of ridge regressions, each of which views the look-back in its own way.

Shapes: L look-back, H horizon, F features, S steps of a season.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmodels.forecast_config import ForecastArchitecture
from rnnmodels.ridge import choose_ridge, measure_moments
from rnnmodels.windows import Windows

RECENT_SEASONS = 7


@dataclass(frozen=True)
class Line:
    """Weights (L, H) of the mean of all views, the penalty of each, and its mean squared error on validation."""

    weights: NDArray[np.float32]
    penalties: dict[str, float]
    valid_mse: float


def fit_line(
    train: Windows, valid: Windows, penalties: Sequence[float], views: Mapping[str, NDArray[np.float64]]
) -> Line:
    """Fit a ridge regression to each view (L, F) with the penalty that is best on validation, and average them.

    Raises ValueError where a split has no windows.
    """
    fitted, judged = measure_moments(train), measure_moments(valid)
    ridges = {name: choose_ridge(fitted, judged, penalties, view_LF) for name, view_LF in views.items()}
    weights_LH = np.mean([ridge.weights for ridge in ridges.values()], axis=0)
    chosen = {name: ridge.penalty for name, ridge in ridges.items()}
    return Line(weights_LH, chosen, judged.error_of(weights_LH.astype(np.float64)))


def build_views(architecture: ForecastArchitecture, look_back: int) -> dict[str, NDArray[np.float64]]:
    """Make an architecture's views (L, F); raises ValueError where the look-back is too short for one."""
    build = {
        "steps": lambda: view_steps(look_back, architecture.line_look_back or look_back),
        "profiles": lambda: view_profiles(look_back, architecture.profile_length),
    }
    return {name: build[name]() for name in architecture.line_views}


def view_steps(look_back: int, num_steps: int) -> NDArray[np.float64]:
    """The last steps, each a feature."""
    _check_fits("line_look_back", num_steps, look_back)
    return np.eye(look_back)[:, look_back - num_steps :]


def view_profiles(look_back: int, season: int) -> NDArray[np.float64]:
    """The last season step by step, and the mean seasons of the last seven and of all seasons of the look-back.

    Sums are divided by the root of their number, so that the penalty bears on all features alike.
    """
    _check_fits("profile_length", season, look_back)
    num_seasons = look_back // season
    spans = sorted({1, min(RECENT_SEASONS, num_seasons), num_seasons})
    return np.concatenate([_view_mean_season(look_back, season, span) for span in spans], axis=1)


def _view_mean_season(look_back: int, season: int, num_seasons: int) -> NDArray[np.float64]:
    """Each phase's sum over the last seasons, over the root of their number (L, S)."""
    view_LS = np.zeros((look_back, season))
    view_LS[look_back - num_seasons * season :] = np.tile(np.eye(season), (num_seasons, 1)) / np.sqrt(num_seasons)
    return view_LS


def _check_fits(setting: str, num_steps: int, look_back: int) -> None:
    if num_steps > look_back:
        raise ValueError(f"{setting}: got {num_steps}, expected at most the look-back {look_back}")
