"""The score of the Numenta Anomaly Benchmark: early detections count, each window once, and false alarms cost.

Lavin & Ahmad (2015), arXiv:1510.03336. A row is detected if its anomaly score reaches the threshold, one for the whole
corpus. The first detection in a window earns up to 1, the more the earlier; a missed window and each detection outside
of one cost what the profile says, with less for alarms soon after one. The first rows of a file are not scored. The
sum is normalised: 0 for detecting nothing, 100 for detecting the first row of every window and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

PROBATION_SHARE = 0.15
MAX_PROBATION_ROWS = 750
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
    """Anomaly scores of one file's rows, and its true windows as first and last row, in order and apart.

    `scored` says which rows count; without it those past the benchmark's probationary part of the file do.
    """

    name: str
    scores: np.ndarray
    windows: tuple[tuple[int, int], ...]
    scored: np.ndarray | None = None

    @cached_property
    def is_scored(self) -> np.ndarray:
        """Whether each row counts."""
        if self.scored is not None:
            return self.scored
        num_rows = len(self.scores)
        return np.arange(num_rows) >= min(int(PROBATION_SHARE * num_rows), MAX_PROBATION_ROWS)

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
        """Positions of the windows that do not lie wholly in the probationary part."""
        return np.unique(self.window_of_row[self.is_scored & (self.window_of_row != OUTSIDE)])


@dataclass(frozen=True, kw_only=True)
class NabScore:
    """The normalised score of a corpus at a threshold, and the raw sum that each file adds to it."""

    score: float
    threshold: float
    raw_by_file: Mapping[str, float]
    windows: int
    detected_windows: int
    false_alarms: int


def locate_windows(times: Sequence, limits: Sequence[tuple]) -> tuple[tuple[int, int], ...]:
    """Find the first and last row of windows that are given by the times of both; the first of equal times counts."""
    row_of_time = {time: row for row, time in reversed(list(enumerate(times)))}
    return tuple((row_of_time[first], row_of_time[last]) for first, last in limits)


def score_corpus(files: Sequence[LabelledScores], profile: Profile, *, threshold: float | None = None) -> NabScore:
    """Score a corpus at a threshold; without one, at that which scores best, as the benchmark's own tables do."""
    threshold = find_best_threshold(files, profile) if threshold is None else threshold
    raw = {file.name: score_file(file, profile, threshold) for file in files}
    assert len(raw) == len(files), "file names must be unique"
    detected = [file.is_scored & (file.scores >= threshold) for file in files]
    inside = [file.window_of_row != OUTSIDE for file in files]
    num_windows = sum(len(file.scored_windows) for file in files)
    null = -profile.false_negative * num_windows
    return NabScore(
        score=100 * (sum(raw.values()) - null) / (num_windows - null),
        threshold=threshold,
        raw_by_file=raw,
        windows=num_windows,
        detected_windows=sum(
            len(np.unique(file.window_of_row[rows & within]))
            for file, rows, within in zip(files, detected, inside, strict=True)
        ),
        false_alarms=int(sum((rows & ~within).sum() for rows, within in zip(detected, inside, strict=True))),
    )


def score_file(file: LabelledScores, profile: Profile, threshold: float) -> float:
    """Raw score of one file: what its windows earn or cost, less its false alarms."""
    detected = file.is_scored & (file.scores >= threshold)
    outside = file.window_of_row == OUTSIDE
    earned = [
        file.worth[detected & (file.window_of_row == window)].max(initial=-profile.false_negative)
        for window in file.scored_windows
    ]
    return float(sum(earned) + profile.false_positive * file.worth[detected & outside].sum())


def find_best_threshold(files: Sequence[LabelledScores], profile: Profile) -> float:
    """Find the threshold with the highest score by lowering it past one row after the other; the highest of equals.

    Infinity, which detects nothing, is the first to be tried.
    """
    scores = np.concatenate([file.scores[file.is_scored] for file in files])
    changes = np.concatenate([_changes_when_detected(file, profile) for file in files])
    order = np.argsort(-scores, kind="stable")
    totals = np.cumsum(changes[order])
    falls = np.append(np.diff(scores[order]) < 0, True)
    candidates, totals = scores[order][falls], totals[falls]
    best = int(totals.argmax())
    return float(candidates[best]) if totals[best] > 0 else float("inf")


def _changes_when_detected(file: LabelledScores, profile: Profile) -> np.ndarray:
    """How much the raw score changes as each scored row is detected, in the order of falling scores."""
    changes = profile.false_positive * file.worth
    for window in file.scored_windows:
        rows = np.flatnonzero(file.is_scored & (file.window_of_row == window))
        rows = rows[np.argsort(-file.scores[rows], kind="stable")]
        earned = np.maximum.accumulate([-profile.false_negative, *file.worth[rows]])
        changes[rows] = np.diff(earned)
    return changes[file.is_scored]


def _scaled_sigmoid(position: np.ndarray) -> np.ndarray:
    """1 long before a window's end, 0 at it, -1 three widths after; positions in window widths."""
    value = 2 / (1 + np.exp(STEEPNESS * np.minimum(position, FAR_BEHIND))) - 1
    return np.where(position >= FAR_BEHIND, -1.0, value)
