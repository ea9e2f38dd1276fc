"""The score of the Numenta Anomaly Benchmark: early detections count, each window once, and false alarms cost.

Lavin & Ahmad (2015), arXiv:1510.03336. A row is detected if its anomaly score reaches the threshold. The first
detection in a window earns up to 1, the more the earlier; a missed window and each detection outside of one cost what
the profile says, with less for alarms soon after one. The sum over a corpus is normalised: 0 for detecting nothing, 100
for detecting the first row of every window and nothing else.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

OUTSIDE = -1
STEEPNESS = 5.0
FAR_BEHIND = 3.0  # window widths after which a false alarm costs all of its weight


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
