"""How well each series of a panel is forecast, compared with repeating its last season: a mean over all hides the few.

N windows of a batch, L steps of look-back, H steps of the horizon, S series, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.errors import quoted
from tasks.kinds.forecast.losses import name_naive, repeat_season
from tasks.statistics.intervals import Interval

SERIES_SHOWN = 20
# A series is forecast far worse than by repeating its season if its error exceeds this multiple.
FAR_WORSE = 1.5


@dataclass(frozen=True, kw_only=True)
class SeriesTally:
    """Absolute errors, scaled, of a model and of the repeated season, added up by series and channel [S, C].

    `windows` counts those of each series [S], and `prior` adds up what the training means (`means` [S, C]) cost.
    """

    horizon: int
    season: int
    means: np.ndarray
    windows: np.ndarray
    errors: np.ndarray
    naive_errors: np.ndarray
    prior: dict[str, float]

    @classmethod
    def start(cls, means_SC: np.ndarray, *, horizon: int, season: int) -> "SeriesTally":
        """Nothing added up yet."""
        return cls(
            horizon=horizon,
            season=season,
            means=means_SC,
            windows=np.zeros(len(means_SC), np.int64),
            errors=np.zeros(means_SC.shape),
            naive_errors=np.zeros(means_SC.shape),
            prior={"mse": 0.0, "mae": 0.0},
        )

    def add(self, history_NLC: np.ndarray, truth_NHC: np.ndarray, point_NHC: np.ndarray, series_N: np.ndarray) -> None:
        """Add the errors of some windows."""
        naive_NHC = repeat_season(history_NLC, horizon=self.horizon, season=self.season)
        np.add.at(self.windows, series_N, 1)
        for total_SC, forecast_NHC in ((self.errors, point_NHC), (self.naive_errors, naive_NHC)):
            error_NHC = np.abs(truth_NHC.astype(np.float64) - forecast_NHC)
            np.add.at(total_SC, series_N, error_NHC.sum(axis=1))
        prior_NHC = truth_NHC - self.means[series_N][:, None]
        self.prior["mse"] += float(np.square(prior_NHC).sum())
        self.prior["mae"] += float(np.abs(prior_NHC).sum())

    def measure_prior(self, metric: str) -> float:
        """Mean error of always forecasting the training mean."""
        return self.prior[metric] / (self.windows.sum() * self.horizon * self.means.shape[1])

    @property
    def times_naive(self) -> np.ndarray:
        """How many times as large each series' error is as that of the repeated season [S]; NaN where that has none."""
        error_S, naive_S = self.errors.sum(axis=1), self.naive_errors.sum(axis=1)
        return np.divide(error_S, naive_S, out=np.full_like(error_S, np.nan), where=naive_S > 0)


def describe_series(
    tally: SeriesTally, names: Sequence[str], *, seasonal_SC: np.ndarray, unit_S: np.ndarray | None
) -> dict:
    """JSON value: how many series were forecast, how many of them worse than by the season, and the worst of them.

    `unit_S` says what a scaled unit is in the source's, where there is a single channel.
    """
    times_S = tally.times_naive
    forecast = np.flatnonzero(tally.windows)
    order = forecast[np.argsort(-np.nan_to_num(times_S[forecast], nan=-1.0), kind="stable")]
    per_value_S = 1 / (np.maximum(tally.windows, 1) * tally.horizon)
    mase_S = _mean_of_known(tally.errors * per_value_S[:, None] / seasonal_SC)

    def describe(series: int) -> dict:
        mae, naive_mae = (
            float(total[series].mean() * per_value_S[series]) for total in (tally.errors, tally.naive_errors)
        )
        figures = {"mase": mase_S[series], "times_naive": times_S[series]}
        return {
            "series": names[series],
            "windows": int(tally.windows[series]),
            "mae": mae,
            "naive_mae": naive_mae,
            **{name: float(figure) for name, figure in figures.items() if np.isfinite(figure)},
            **({} if unit_S is None else {"mae_original": mae * float(unit_S[series])}),
        }

    return {
        "naive": name_naive(tally.season),
        "series": len(forecast),
        "worse": int((times_S[forecast] > 1).sum()),
        "worst": [describe(series) for series in order[:SERIES_SHOWN]],
    }


def find_far_worse(tally: SeriesTally, names: Sequence[str]) -> list[str]:
    """Say which series are forecast far worse than by repeating the season, if any are."""
    times_S = np.nan_to_num(tally.times_naive)
    far = int((times_S > FAR_WORSE).sum())
    if not far:
        return []
    worst = int(times_S.argmax())
    return [
        f"{far:,} of {np.count_nonzero(tally.windows):,} series are forecast far worse than by "
        f"{name_naive(tally.season)} on the test windows, such as {quoted(names[worst])} with {times_S[worst]:.3g} "
        "times its error"
    ]


def find_nothing_learned(name: str, tally: SeriesTally, metrics: dict[str, Interval], select_by: str) -> list[str]:
    """Say that a model forecasts no better than the mean of the training rows of each series does."""
    metric = "mse" if select_by == "mse" else "mae"
    error, prior = metrics[metric]["value"], tally.measure_prior(metric)
    if error < prior or prior == 0:
        return []
    return [
        f"{name} forecasts the validation rows no better than the training mean of each series does "
        f"({metric.upper()} {error:.4g} against {prior:.4g}), so it learned nothing useful: raise training.epochs or "
        "shard.look_back, or add covariates"
    ]


def _mean_of_known(values_SC: np.ndarray) -> np.ndarray:
    """Mean over the channels that are not NaN [S]."""
    known_SC = np.isfinite(values_SC)
    total_S, count_S = np.where(known_SC, values_SC, 0.0).sum(axis=1), known_SC.sum(axis=1)
    return np.divide(total_S, count_S, out=np.full_like(total_S, np.nan), where=count_S > 0)
