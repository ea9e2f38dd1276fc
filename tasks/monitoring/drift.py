"""Whether what a model sees has moved away from its validation rows, further than chance explains.

    PSI    population stability index, sum of (q - p) ln(q / p) over groups of bins; p reference, q seen
    KS     Kolmogorov-Smirnov distance, the largest gap between the two cumulative distributions, over the bins

For equal distributions, PSI / (1/m + 1/n) follows chi-square with groups - 1 degrees of freedom (m reference rows,
n rows seen; Yurdakul & Naranjo, Journal of Risk Model Validation 14(4), 2020), so its mean is
(groups - 1)(1/m + 1/n): with 40 and 500 rows 0.24, beyond any usual limit. A feature has drifted if its PSI is above
the limit and above what chance exceeds with probability ALPHA over all features together (Bonferroni).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tasks.contract.profile import BOUNDS, Profile, mean_of_bins
from tasks.statistics.intervals import share_with_interval

ALPHA = 0.01
MAX_GROUPS = 10
LEAST_EXPECTED = 5  # reference rows per group, below which chi-square is no guide
SMOOTHING = 0.5  # rows added to each group, so that one that nobody falls into stays finite
LEAST_FALL = 0.02  # of accuracy: choosing a model by the reference rows flatters it there by less
SHOWN_AS = {
    "length": ("mean length in tokens", "{:.1f}"),
    "oov_share": ("share of unknown tokens", "{:.1%}"),
    "confidence": ("mean confidence", "{:.1%}"),
    "predicted": ("share of predicted label", "{:.1%}"),
    "true": ("share of label", "{:.1%}"),
    "accuracy": ("accuracy", "{:.1%}"),
}
NUM_FEATURES = len(SHOWN_AS)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One feature of what was seen beside the reference; `chance` is the PSI that sampling alone hardly exceeds.

    `before` and `now` are the means of the feature, or the shares of `label`, the one that moved most.
    """

    feature: str
    rows: int
    before: float
    now: float
    drifted: bool
    psi: float | None = None
    chance: float | None = None
    ks: float | None = None
    label: str = ""

    @property
    def title(self) -> str:
        """What is compared, in words."""
        label = f' "{self.label}"' if self.feature in ("predicted", "true") else ""
        return SHOWN_AS[self.feature][0] + label

    @property
    def shown(self) -> tuple[str, str]:
        """The figures before and now, with their units."""
        form = SHOWN_AS[self.feature][1]
        return form.format(self.before), form.format(self.now)

    def describe(self) -> str:
        """Say what moved from what to what."""
        return f"{self.title} from {self.shown[0]} to {self.shown[1]}"


def compare_profiles(reference: Profile, seen: Profile, *, min_rows: int, psi_limit: float) -> list[Comparison]:
    """Compare every feature that at least `min_rows` rows tell about; labels need as many rows that have one."""
    comparisons = []
    if seen.rows >= max(min_rows, 1):
        comparisons += [_compare_histograms(feature, reference, seen, psi_limit) for feature in BOUNDS]
        comparisons.append(_compare_labels("predicted", reference.predicted, seen.predicted, psi_limit))
    if seen.labelled_rows >= max(min_rows, 1):
        comparisons.append(_compare_labels("true", reference.true, seen.true, psi_limit))
        comparisons.append(compare_accuracy(reference, seen))
    return comparisons


def compare_accuracy(reference: Profile, seen: Profile) -> Comparison:
    """Compare the shares of hits: a fall counts if it exceeds LEAST_FALL and its interval lies above zero.

    The interval is Newcombe's (Statistics in Medicine 17, 1998, method 10), made of the two Wilson intervals.
    """
    level = 1 - 2 * ALPHA / NUM_FEATURES
    before = share_with_interval(reference.hits, reference.labelled_rows, level)
    now = share_with_interval(seen.hits, seen.labelled_rows, level)
    fall = before["value"] - now["value"]
    return Comparison(
        feature="accuracy",
        rows=seen.labelled_rows,
        before=before["value"],
        now=now["value"],
        drifted=fall > max(LEAST_FALL, math.hypot(before["value"] - before["low"], now["high"] - now["value"])),
    )


def group_bins(counts: np.ndarray) -> np.ndarray:
    """Merge neighbouring bins of a reference into at most MAX_GROUPS groups of about equal counts; group of each bin.

    Each holds at least LEAST_EXPECTED rows. Only where the reference is too narrow for two such groups, as when no
    text of it has an unknown token, its fullest bin is told from what lies below and above.
    """
    least = max(LEAST_EXPECTED, counts.sum() / MAX_GROUPS)
    groups, num_groups, filled = [], 0, 0
    for count in counts:
        groups.append(num_groups)
        filled += count
        if filled >= least:
            num_groups, filled = num_groups + 1, 0
    num_groups += filled >= LEAST_EXPECTED
    if num_groups <= 1:
        return 1 + np.sign(np.arange(len(counts)) - counts.argmax())
    return np.minimum(groups, num_groups - 1)


def population_stability(reference: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """PSI of counts per group, and the value that equal distributions exceed with probability ALPHA / NUM_FEATURES.

    Groups that are empty on both sides do not count.
    """
    from scipy import special

    occupied = (reference + seen) > 0
    p, q = (_smoothed_shares(counts[occupied]) for counts in (reference, seen))
    freedom = max(1, int(occupied.sum()) - 1)
    chance = special.chdtri(freedom, ALPHA / NUM_FEATURES) * (1 / reference.sum() + 1 / seen.sum())
    return float(((q - p) * np.log(q / p)).sum()), float(chance)


def largest_gap(reference: np.ndarray, seen: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance of two histograms over the same bins."""
    return float(np.abs(np.cumsum(reference) / reference.sum() - np.cumsum(seen) / seen.sum()).max())


def group_labels(reference: Mapping[str, int], seen: Mapping[str, int]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Count rows per label in both; all labels that are rare or absent in the reference share the last group."""
    frequent = sorted(label for label, rows in reference.items() if rows >= LEAST_EXPECTED)

    def count(rows_of: Mapping[str, int]) -> np.ndarray:
        listed = [rows_of.get(label, 0) for label in frequent]
        return np.array([*listed, sum(rows_of.values()) - sum(listed)])

    return [*frequent, "other"], count(reference), count(seen)


def _compare_histograms(feature: str, reference: Profile, seen: Profile, psi_limit: float) -> Comparison:
    before, now = (np.array(profile.histograms[feature]) for profile in (reference, seen))
    group = group_bins(before)
    grouped = (np.bincount(group, counts, minlength=group.max() + 1) for counts in (before, now))
    psi, chance = population_stability(*grouped)
    return Comparison(
        feature=feature,
        rows=seen.rows,
        before=mean_of_bins(feature, before),
        now=mean_of_bins(feature, now),
        drifted=psi > max(psi_limit, chance),
        psi=psi,
        chance=chance,
        ks=largest_gap(before, now),
    )


def _compare_labels(
    feature: str, reference: Mapping[str, int], seen: Mapping[str, int], psi_limit: float
) -> Comparison:
    labels, before, now = group_labels(reference, seen)
    psi, chance = population_stability(before, now)
    p, q = before / before.sum(), now / now.sum()
    moved = int(np.abs(q - p).argmax())
    return Comparison(
        feature=feature,
        rows=int(now.sum()),
        before=float(p[moved]),
        now=float(q[moved]),
        drifted=psi > max(psi_limit, chance),
        psi=psi,
        chance=chance,
        label=labels[moved],
    )


def _smoothed_shares(counts: np.ndarray) -> np.ndarray:
    smoothed = counts.astype(np.float64) + SMOOTHING
    return smoothed / smoothed.sum()
