"""How well anomaly scores rank the rows of labelled anomalies, and the score of the Numenta Anomaly Benchmark.

AUC-PR and VUS-PR rank whatever the threshold. In NAB's score early detections count, each window once, and false alarms
cost: Lavin & Ahmad (2015), arXiv:1510.03336. A row is detected if its anomaly score reaches the threshold. The first
detection in a window earns up to 1, the more the earlier; a missed window and each detection outside of one cost what
the profile says, with less for alarms soon after one. The sum over a corpus is normalised: 0 for detecting nothing, 100
for detecting the first row of every window and nothing else.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

NUM_THRESHOLDS = 250

OUTSIDE = -1
STEEPNESS = 5.0
FAR_BEHIND = 3.0  # window widths after which a false alarm costs all of its weight


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the curve of precision over recall (AUC-PR), row by row; NaN without an anomaly."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, scores)) if labels.any() else float("nan")


def vus_pr(scores: np.ndarray, labels: np.ndarray, *, max_buffer: int) -> float:
    """Volume under the surface of precision, recall and buffer (VUS-PR); NaN without an anomaly.

    Paparrizos et al. (2022), with the definitions of the TSB-AD benchmark: anomalies are widened by buffers whose
    weight falls with the distance, recall counts only anomalies that are met at all, and the area under precision over
    recall is averaged over buffers of 0 to `max_buffer` rows (half of them on each side).
    """
    if not labels.any():
        return float("nan")
    first_found = _first_threshold_that_finds(scores)
    num_found = np.cumsum(np.bincount(first_found, minlength=NUM_THRESHOLDS))
    areas = [_range_area(first_found, num_found, labels, buffer) for buffer in range(max_buffer + 1)]
    return float(np.mean(areas))


def find_anomalies(labels: np.ndarray) -> np.ndarray:
    """First and last row of each run of labelled rows: int64 [anomalies, 2]."""
    edges = np.diff(np.concatenate([[False], labels.astype(bool), [False]]).astype(np.int8))
    return np.column_stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1])


def _first_threshold_that_finds(scores: np.ndarray) -> np.ndarray:
    """Position of the highest of 250 thresholds, spread evenly over the ranks, that each row's score reaches."""
    falling = np.sort(scores)[::-1]
    thresholds = falling[np.linspace(0, len(scores) - 1, NUM_THRESHOLDS).astype(int)]
    return np.searchsorted(-thresholds, -scores, side="left")


def _range_area(first_found: np.ndarray, num_found: np.ndarray, labels: np.ndarray, buffer: int) -> float:
    """Area under precision over recall for anomalies with buffers of one size."""
    anomalies = find_anomalies(labels)
    weights = _widen(labels, anomalies, buffer)
    is_buffer = ~labels.astype(bool)
    hits = _count_up_to(first_found[~is_buffer], None)
    near_hits = _count_up_to(first_found[is_buffer], weights[is_buffer])
    positives = labels.sum() + near_hits / 2  # halfway between the anomalies and the widened ones that are found
    recall = np.minimum((hits + near_hits) / positives, 1) * _share_met(first_found, _merge(anomalies, buffer))
    precision = (hits + near_hits) / num_found
    return float(np.diff(recall, prepend=0.0) @ precision)


def _widen(labels: np.ndarray, anomalies: np.ndarray, buffer: int) -> np.ndarray:
    """Weight of each row: 1 in anomalies, falling with the root of the distance in the buffers around them."""
    weights, half = labels.astype(np.float64), buffer // 2
    slope = np.sqrt(1 - np.arange(1, half + 1) / max(1, buffer))
    for first, last in anomalies:
        after = weights[last + 1 : last + 1 + half]
        after += slope[: len(after)]
        before = weights[max(0, first - half) : first]
        before += slope[: len(before)][::-1]
    return np.minimum(weights, 1.0)


def _merge(anomalies: np.ndarray, buffer: int) -> np.ndarray:
    """First and last row of each anomaly with its buffers, those that touch joined into one."""
    half = buffer // 2
    apart = anomalies[:-1, 1] + half < anomalies[1:, 0] - half
    first = anomalies[np.append(True, apart), 0] - half
    last = anomalies[np.append(apart, True), 1] + half
    return np.column_stack([np.maximum(first, 0), last])


def _share_met(first_found: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Share of the ranges in which each threshold finds a row."""
    earliest = [first_found[first : last + 1].min() for first, last in ranges]
    return _count_up_to(np.array(earliest), None) / len(ranges)


def _count_up_to(first_found: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Number (or weight) of rows that each threshold finds."""
    return np.cumsum(np.bincount(first_found, weights, minlength=NUM_THRESHOLDS))


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a user of alarms minds: the weight of a window missed and of a false alarm, relative to one detected."""

    false_positive: float
    false_negative: float


PROFILES = {
    "standard": Profile(false_positive=0.11, false_negative=1.0),
    "reward_low_FP": Profile(false_positive=0.22, false_negative=1.0),
    "reward_low_FN": Profile(false_positive=0.11, false_negative=2.0),
}


@dataclass(frozen=True, kw_only=True)
class LabelledScores:
    """Anomaly scores of a file's rows, which of them count, and its true windows as first and last row, in order."""

    name: str
    scores: np.ndarray
    windows: tuple[tuple[int, int], ...]
    is_scored: np.ndarray

    @cached_property
    def window_of_row(self) -> np.ndarray:
        """Position of the window that each row lies in, -1 outside."""
        window_of_row = np.full(len(self.scores), OUTSIDE)
        for position, (first, last) in enumerate(self.windows):
            window_of_row[first : last + 1] = position
        return window_of_row

    @cached_property
    def worth(self) -> np.ndarray:
        """What a detection of each row is worth: up to 1 inside of a window, down to -1 outside."""
        worth = np.full(len(self.scores), -1.0)
        for first, last in self.windows:
            rows = np.arange(first, len(worth))
            width = last - first + 1
            behind = _scaled_sigmoid((rows - last) / max(1, width - 1))
            inside = _scaled_sigmoid((rows - last - 1) / width) / _scaled_sigmoid(np.array(-1.0))
            worth[first:] = np.where(rows <= last, inside, behind)
        return worth

    @property
    def scored_windows(self) -> np.ndarray:
        """Positions of the windows of which a row counts."""
        return np.unique(self.window_of_row[self.is_scored & (self.window_of_row != OUTSIDE)])


def score_file(file: LabelledScores, profile: Profile, threshold: float) -> float:
    """Raw score of one file: what its windows earn or cost, less its false alarms."""
    detected = file.is_scored & (file.scores >= threshold)
    outside = file.window_of_row == OUTSIDE
    earned = [
        file.worth[detected & (file.window_of_row == window)].max(initial=-profile.false_negative)
        for window in file.scored_windows
    ]
    return float(sum(earned) + profile.false_positive * file.worth[detected & outside].sum())


def _scaled_sigmoid(position: np.ndarray) -> np.ndarray:
    """1 long before a window's end, 0 at it, -1 three widths after; positions in window widths."""
    value = 2 / (1 + np.exp(STEEPNESS * np.minimum(position, FAR_BEHIND))) - 1
    return np.where(position >= FAR_BEHIND, -1.0, value)
