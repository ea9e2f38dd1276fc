"""Whether what a model sees has moved away from its validation rows, further than chance explains.

    PSI    population stability index, sum of (q - p) ln(q / p) over groups of bins; p reference, q seen
    KS     Kolmogorov-Smirnov distance, the largest gap between the two cumulative distributions, over the bins

For equal distributions, PSI / (1/m + 1/n) follows chi-square with groups - 1 degrees of freedom (m reference rows,
n rows seen; Yurdakul & Naranjo, Journal of Risk Model Validation 14(4), 2020), so its mean is
(groups - 1)(1/m + 1/n): with 40 and 500 rows 0.24, beyond any usual limit. A feature has drifted if its PSI is above
the limit and above what chance exceeds with probability ALPHA over all features together (Bonferroni).

Neighbouring windows of a series resemble each other, so m and n are those of independent rows: as many as tell as much
about a share as the rows do that depend on each other (the first-order correction of Rao & Scott, JASA 76, 1981). How
much they depend is measured on the reference, since a limit is what equal distributions exceed.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from tasks.contract.profile import Profile, Watch
from tasks.statistics.intervals import share_with_interval

ALPHA = 0.01
MAX_GROUPS = 10
LEAST_EXPECTED = 5  # independent reference rows per group, below which chi-square is unreliable
SMOOTHING = 0.5  # rows added to each group, so that an empty group stays finite
LEAST_FALL = 0.02  # of accuracy: choosing a model by the reference rows flatters it there by less
LABELS = {"predicted": "share of predicted label", "true": "share of label"}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One feature of what was seen and of the reference; `chance` is the PSI that sampling alone rarely exceeds.

    `before` and `now` are the means of the feature, or the shares of the label that moved most; `title` says which, and
    `shown` has both with their units.
    """

    feature: str
    title: str
    rows: int
    before: float
    now: float
    shown: tuple[str, str]
    drifted: bool
    psi: float | None = None
    chance: float | None = None
    ks: float | None = None

    def describe(self) -> str:
        """Say what moved from what to what; a mean may stay where it was."""
        if self.shown[0] == self.shown[1]:
            return f"{self.title} still {self.shown[1]}, but differently distributed"
        return f"{self.title} from {self.shown[0]} to {self.shown[1]}"


def compare_profiles(
    reference: Profile, seen: Profile, *, watch: Watch, min_rows: int, psi_limit: float
) -> list[Comparison]:
    """Compare every feature that at least `min_rows` rows tell about; labels need as many rows that have one.

    What only some rows have, as an error that shows later, needs LEAST_EXPECTED of them.
    """
    compare: list[Callable[..., Comparison]] = []
    if seen.rows >= max(min_rows, 1):
        told = [name for name in reference.histograms if _least_count(name, reference, seen) >= LEAST_EXPECTED]
        compare += [partial(_compare_histograms, name, reference, seen, watch, psi_limit) for name in told]
        if reference.predicted:
            compare.append(partial(_compare_labels, "predicted", reference.predicted, seen.predicted, psi_limit))
    if reference.true and seen.labelled_rows >= max(min_rows, 1):
        compare.append(partial(_compare_labels, "true", reference.true, seen.true, psi_limit))
        compare.append(partial(compare_accuracy, reference, seen))
    return [one(alpha=ALPHA / len(compare)) for one in compare]


def compare_accuracy(reference: Profile, seen: Profile, *, alpha: float) -> Comparison:
    """Compare the shares of hits: a fall counts if it exceeds LEAST_FALL and its interval lies above zero.

    The interval is Newcombe's (Statistics in Medicine 17, 1998, method 10), made of the two Wilson intervals.
    """
    before = share_with_interval(reference.hits, reference.labelled_rows, 1 - 2 * alpha)
    now = share_with_interval(seen.hits, seen.labelled_rows, 1 - 2 * alpha)
    fall = before["value"] - now["value"]
    return Comparison(
        feature="accuracy",
        title="accuracy",
        rows=seen.labelled_rows,
        before=before["value"],
        now=now["value"],
        shown=(f"{before['value']:.1%}", f"{now['value']:.1%}"),
        drifted=fall > max(LEAST_FALL, math.hypot(before["value"] - before["low"], now["high"] - now["value"])),
    )


def group_bins(counts: np.ndarray, dependence: float = 1) -> np.ndarray:
    """Merge neighbouring bins of a reference into at most MAX_GROUPS groups of about equal counts; group of each bin.

    Each holds at least LEAST_EXPECTED independent rows. Only where the reference is too narrow for two such groups, as
    when no text of it has an unknown token, its fullest bin is told from what lies below and above.
    """
    enough = LEAST_EXPECTED * dependence
    least = max(enough, counts.sum() / MAX_GROUPS)
    groups, num_groups, filled = [], 0, 0
    for count in counts:
        groups.append(num_groups)
        filled += count
        if filled >= least:
            num_groups, filled = num_groups + 1, 0
    num_groups += filled >= enough
    if num_groups <= 1:
        return 1 + np.sign(np.arange(len(counts)) - counts.argmax())
    return np.minimum(groups, num_groups - 1)


def population_stability(
    reference: np.ndarray, seen: np.ndarray, *, alpha: float, dependence: float = 1
) -> tuple[float, float]:
    """PSI of counts per group, and the value that equal distributions exceed with probability `alpha`.

    Groups that are empty on both sides do not count.
    """
    from scipy import special

    occupied = (reference + seen) > 0
    p, q = (_smoothed_shares(counts[occupied]) for counts in (reference, seen))
    freedom = max(1, int(occupied.sum()) - 1)
    chance = special.chdtri(freedom, alpha) * dependence * (1 / reference.sum() + 1 / seen.sum())
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


def _least_count(name: str, *profiles: Profile) -> int:
    return min(sum(profile.histograms.get(name, ())) for profile in profiles)


def _compare_histograms(
    name: str, reference: Profile, seen: Profile, watch: Watch, psi_limit: float, *, alpha: float
) -> Comparison:
    feature, title = watch.feature(name)
    counts = [np.array(profile.histograms[name]) for profile in (reference, seen)]
    dependence = reference.dependence.get(name, 1.0)
    group = group_bins(counts[0], dependence)
    grouped = (np.bincount(group, one, minlength=group.max() + 1) for one in counts)
    psi, chance = population_stability(*grouped, alpha=alpha, dependence=dependence)
    before, now = map(feature.mean, counts)
    return Comparison(
        feature=name,
        title=title,
        rows=int(counts[1].sum()),
        before=before,
        now=now,
        shown=(feature.form.format(before), feature.form.format(now)),
        drifted=psi > max(psi_limit, chance) and (now > before or not feature.rises),
        psi=psi,
        chance=chance,
        ks=largest_gap(*counts),
    )


def _compare_labels(
    feature: str, reference: Mapping[str, int], seen: Mapping[str, int], psi_limit: float, *, alpha: float
) -> Comparison:
    labels, before, now = group_labels(reference, seen)
    psi, chance = population_stability(before, now, alpha=alpha)
    p, q = before / before.sum(), now / now.sum()
    moved = int(np.abs(q - p).argmax())
    return Comparison(
        feature=feature,
        title=f'{LABELS[feature]} "{labels[moved]}"',
        rows=int(now.sum()),
        before=float(p[moved]),
        now=float(q[moved]),
        shown=(f"{p[moved]:.1%}", f"{q[moved]:.1%}"),
        drifted=psi > max(psi_limit, chance),
        psi=psi,
        chance=chance,
    )


def _smoothed_shares(counts: np.ndarray) -> np.ndarray:
    smoothed = counts.astype(np.float64) + SMOOTHING
    return smoothed / smoothed.sum()
