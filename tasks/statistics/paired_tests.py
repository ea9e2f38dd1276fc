"""Is the challenger better than the champion on the same rows, or only luckier? One-sided tests of paired losses."""

import math

import numpy as np

from tasks.statistics.intervals import draw_resamples

# With fewer lags, equal forecasts are told apart up to twice as often as promised; see `diebold_mariano_p_value`.
LAGS_PER_OVERLAP = 3
LAGS_PER_CUBE_ROOT = 2


def mcnemar_p_value(won: int, lost: int) -> float:
    """Chance that equal models differ this much or more in the challenger's favour (McNemar 1947, exact).

    `won` rows only the challenger got right, `lost` rows only the champion; for equal models each is a fair coin.
    """
    from scipy import stats

    return float(stats.binom.sf(won - 1, won + lost, 0.5))


def bootstrap_p_value(gain_per_row: np.ndarray, *, resamples: int, seed: int) -> float:
    """Chance that a mean gain this large or larger is luck, by the studentized bootstrap over rows.

    Algorithm 16.2 of Efron and Tibshirani (1993): the gains are centred, and each resampled mean is measured in its
    own standard errors, which corrects for skewed gains where plain quantiles are too bold.
    """
    num_rows = len(gain_per_row)
    observed = _t_value(gain_per_row.mean(), np.square(gain_per_row).mean(), num_rows)
    centred = gain_per_row - gain_per_row.mean()
    draws = [
        _t_value(centred @ counts / num_rows, np.square(centred) @ counts / num_rows, num_rows)
        for counts in draw_resamples(num_rows, resamples, seed)
    ]
    return float((1 + np.count_nonzero(np.concatenate(draws) >= observed)) / (resamples + 1))


def diebold_mariano_p_value(gains: np.ndarray, *, overlap: int) -> float:
    """Chance that forecasts of equal worth differ this much or more in the challenger's favour.

    Diebold and Mariano (1995), corrected by Harvey, Leybourne and Newbold (1997). `gains` are the champion's losses
    less the challenger's, by origin in the order of time; `overlap` origins in a row share targets. An overlap of 0
    says that the gains are independent (one for each series), which makes this the t test.

    The long-run variance takes Bartlett weights over three overlaps, and Student's t as many degrees of freedom as
    there are such stretches. With one overlap and n - 1 degrees, as usual, the test errs in 9 to 12 cases of 100 at a
    level of 5; like this in 2 to 7 (simulated on 3 to 30 overlaps). Gains that all share targets show nothing.
    """
    from scipy import stats

    num_gains, mean = len(gains), gains.mean()
    if num_gains <= max(overlap, 1):
        return 1.0
    lags = _choose_lags(num_gains, overlap)
    variance = bartlett_variance(gains, lags)
    if variance <= 0:
        return 0.0 if mean > 0 else 1.0
    shared = max(overlap, 1)
    correction = (num_gains + 1 - 2 * shared + shared * (shared - 1) / num_gains) / num_gains
    t_value = mean * np.sqrt(max(correction, 0.0) * num_gains / variance)
    return float(stats.t.sf(t_value, max(1.0, num_gains / lags) if lags else num_gains - 1))


def bartlett_variance(values: np.ndarray, lags: int) -> float:
    """Long-run variance: autocovariances up to `lags` under weights that fall linearly (Newey & West 1987)."""
    centred = values - values.mean()
    num_values = len(values)
    covariances = [centred[lag:] @ centred[: num_values - lag] / num_values for lag in range(lags + 1)]
    weights = 1 - np.arange(lags + 1) / (lags + 1)
    return float(2 * (weights @ covariances) - covariances[0])


def _choose_lags(num_gains: int, overlap: int) -> int:
    """Lags that reach well past the targets that origins share, and past what losses remember without sharing any."""
    if overlap == 0:
        return 0
    remembered = LAGS_PER_CUBE_ROOT * math.ceil(num_gains ** (1 / 3))
    return min(max(LAGS_PER_OVERLAP * overlap, remembered), num_gains - 1)


def _t_value(mean: np.ndarray, mean_of_squares: np.ndarray, num_rows: int) -> np.ndarray:
    """A mean in units of its standard error; 0 where all values are 0."""
    variance = np.maximum(mean_of_squares - np.square(mean), 0.0)
    least = np.finfo(np.float64).tiny
    return np.asarray(mean * np.sqrt(num_rows) / np.sqrt(np.maximum(variance, least)))
