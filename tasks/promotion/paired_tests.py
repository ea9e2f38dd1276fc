"""Is the challenger better than the champion on the same rows, or only luckier? One-sided tests of paired figures."""

import numpy as np

from tasks.intervals import draw_resamples


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


def _t_value(mean: np.ndarray, mean_of_squares: np.ndarray, num_rows: int) -> np.ndarray:
    """A mean in units of its standard error; 0 where all values are 0."""
    variance = np.maximum(mean_of_squares - np.square(mean), 0.0)
    least = np.finfo(np.float64).tiny
    return np.asarray(mean * np.sqrt(num_rows) / np.sqrt(np.maximum(variance, least)))
