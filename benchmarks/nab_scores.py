"""What the Numenta Anomaly Benchmark does besides scoring a file: corpora, the best threshold, its own detector."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.kinds.detect.baseline import STEP_ROWS, WINDOW_ROWS, measure_distance
from tasks.kinds.detect.detection_metrics import OUTSIDE, PROFILES, LabelledScores, Profile, score_file
from tasks.kinds.detect.measuring import LabelledSurprise

PROBATION_SHARE = 0.15
MAX_PROBATION_ROWS = 750


def score_rows(name: str, scores: np.ndarray, windows: tuple[tuple[int, int], ...]) -> LabelledScores:
    """The scores of a file of the benchmark, whose first rows are not scored."""
    is_scored = np.arange(len(scores)) >= min(int(PROBATION_SHARE * len(scores)), MAX_PROBATION_ROWS)
    return LabelledScores(name=name, scores=scores, windows=windows, is_scored=is_scored)


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


def score_alarms(corpus: Sequence[LabelledSurprise], threshold: float) -> dict[str, NabScore]:
    """NAB scores by profile of the alarms at a given threshold."""
    alarms = [series.alarm(threshold) for series in corpus]
    return {name: score_corpus(alarms, profile, threshold=threshold) for name, profile in PROFILES.items()}


def choose_by_labels(corpus: Sequence[LabelledSurprise], thresholds: Sequence[float]) -> dict[str, NabScore]:
    """NAB scores at the threshold that is best for each profile, as in published results."""
    scored = [score_alarms(corpus, threshold) for threshold in thresholds]
    return {name: max((one[name] for one in scored), key=lambda one: one.score) for name in PROFILES}


def score_by_windowed_gaussian(
    values: np.ndarray, *, window_rows: int = WINDOW_ROWS, step_rows: int = STEP_ROWS
) -> np.ndarray:
    """Score each value [rows] by the normal distribution of those before it: 0.5 at the mean, 1 far from it.

    The first row, which has nothing before it, scores 0.
    """
    from scipy import special

    distance, _ = measure_distance(values, window_rows=window_rows, step_rows=step_rows)
    # Not ndtr(distance): the benchmark's own rounding decides which far values tie at 1.
    scores = 1 - 0.5 * special.erfc(distance / np.sqrt(2))
    return np.where(np.arange(len(values)) > 0, scores, 0.0)
