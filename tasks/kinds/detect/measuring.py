"""How well detectors do on labelled series: the NAB score, AUC-PR and VUS-PR. Never point-adjusted F1.

Each series is judged, then all of them together. Anomalies are few and the rows of one belong together, so intervals
come from drawing whole series. S series.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.kinds.detect.detection_metrics import (
    OUTSIDE,
    PROFILES,
    LabelledScores,
    Profile,
    average_precision,
    score_file,
    vus_pr,
)
from tasks.kinds.detect.events import Event, find_events, mark_alarms
from tasks.statistics.intervals import Interval, share_with_interval
from tasks.statistics.resampling import Bootstrap, ResamplingPlan

BUFFER_ROWS = 100  # VUS-PR averages over buffers of up to this many rows around an anomaly

RANKINGS = ("auc_pr", "vus_pr")
NAB = "nab"
BY_SERIES = (*RANKINGS, NAB)
Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class LabelledSurprise:
    """What a detector makes of a series with true windows, each given by its first and last row.

    Rows of which `is_known` is false are judged like any other, but nobody knows what they are, so they do not count.
    """

    name: str
    surprise: np.ndarray
    windows: tuple[tuple[int, int], ...]
    warm_up_rows: int
    gap_rows: int
    is_known: np.ndarray | None = None

    @cached_property
    def is_scored(self) -> np.ndarray:
        """Whether each row lies after the warm-up and is known to be ordinary or not."""
        judged = np.arange(len(self.surprise)) >= self.warm_up_rows
        return judged if self.is_known is None else judged & self.is_known

    @property
    def labels(self) -> np.ndarray:
        """Whether each row lies in a window."""
        labels = np.zeros(len(self.surprise), bool)
        for first, last in self.windows:
            labels[first : last + 1] = True
        return labels

    def find_events(self, threshold: float) -> list[Event]:
        """The events after the warm-up at a threshold."""
        return find_events(self.surprise, threshold=threshold, gap_rows=self.gap_rows, first_row=self.warm_up_rows)

    def alarm(self, threshold: float) -> LabelledScores:
        """One alarm for each event at a threshold."""
        alarms = mark_alarms(self.surprise, self.find_events(threshold))
        return LabelledScores(name=self.name, scores=alarms, windows=self.windows, is_scored=self.is_scored)


@dataclass(frozen=True)
class Ranking:
    """How well scores rank the rows of a series after its warm-up; NaN where none is anomalous."""

    auc_pr: float
    vus_pr: float


@dataclass(frozen=True)
class FileScore:
    """What the alarms of one series come to: windows found among those scored, false alarms, NAB's raw score."""

    windows: int
    found: int
    false_alarms: int
    raw: float


def score_series(series: LabelledSurprise, threshold: float, profile: Profile = PROFILES["standard"]) -> FileScore:
    """Score the alarms of one series."""
    alarms = series.alarm(threshold)
    window_of_alarm = alarms.window_of_row[alarms.is_scored & (alarms.scores >= threshold)]
    is_false = window_of_alarm == OUTSIDE
    return FileScore(
        windows=len(alarms.scored_windows),
        found=len(np.unique(window_of_alarm[~is_false])),
        false_alarms=int(is_false.sum()),
        raw=score_file(alarms, profile, threshold),
    )


def measure_ranking(series: LabelledSurprise, max_buffer: int = BUFFER_ROWS) -> Ranking:
    """Measure the scores themselves, whatever the threshold and the events."""
    surprise, labels = (column[series.is_scored] for column in (series.surprise, series.labels))
    return Ranking(average_precision(surprise, labels), vus_pr(surprise, labels, max_buffer=max_buffer))


def expect_share(surprise: float, *, num_evidence: int, num_channels: int) -> float:
    """Share of rows whose highest-scoring channel would reach as many decades by chance, were all evidence independent.

    Natural logarithms of uniform probabilities sum up to a gamma distribution (Fisher's method).
    """
    from scipy import special

    tail = special.gammaincc(num_evidence, surprise * np.log(10))
    return float(-np.expm1(num_channels * np.log1p(-tail)))


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """What series are measured by: the weights of the NAB score, and how near to an anomaly is near for VUS-PR."""

    profile: Profile
    buffer_rows: int


def describe_series(series: LabelledSurprise, threshold: float, yardstick: Yardstick) -> dict:
    """JSON value: rows, events and the highest score; what needs labels is None where no judged row has one."""
    judged = series.surprise[series.warm_up_rows :]
    record = {
        "name": series.name,
        "rows": len(series.surprise),
        "judged": len(judged),
        "events": len(series.find_events(threshold)),
        "peak": float(judged.max()),
        "labelled": int(series.is_scored.sum()),
    }
    names = ("windows", "found", "false_alarms", "raw", *RANKINGS)
    if not record["labelled"]:
        return record | dict.fromkeys(names)
    score = score_series(series, threshold, yardstick.profile)
    ranking = measure_ranking(series, yardstick.buffer_rows)
    figures = [score.windows, score.found, score.false_alarms, score.raw, ranking.auc_pr, ranking.vus_pr]
    return record | {name: None if np.isnan(one) else one for name, one in zip(names, figures, strict=True)}


def measure_series(records: Sequence[Record], profile: Profile, bootstrap: Bootstrap) -> dict[str, Interval]:
    """Means of AUC-PR and VUS-PR over the series with an anomaly, the NAB score, and the share of windows found.

    A metric that the labels leave undefined is absent.
    """
    labelled = [record for record in records if record["labelled"]]
    bounded = {metric: bound_series(*add_up(labelled, metric, profile), bootstrap) for metric in BY_SERIES}
    found, windows = (sum(record[name] for record in labelled) for name in ("found", "windows"))
    if windows:
        bounded["found"] = share_with_interval(found, windows, bootstrap.confidence)
    return {metric: interval for metric, interval in bounded.items() if interval is not None}


def compare_series(
    records: Sequence[Record], others: Sequence[Record], metric: str, *, profile: Profile, bootstrap: Bootstrap
) -> Interval | None:
    """How much higher a metric is than another detector's on the same series, drawn in pairs; None if undefined."""
    total, count = add_up(records, metric, profile)
    other_total, other_count = add_up(others, metric, profile)
    names = [[record["name"] for record in some] for some in (records, others)]
    assert names[0] == names[1], "evaluations of different series cannot be paired"
    assert (count == other_count).all(), "evaluations of different labels cannot be paired"
    return bound_series(total - other_total, count, bootstrap)


def add_up(records: Sequence[Record], metric: str, profile: Profile) -> tuple[NDArray, NDArray]:
    """What each series adds to the numerator and to the denominator of a metric: float64 [S] each."""
    if metric != NAB:
        values = np.array([np.nan if record[metric] is None else record[metric] for record in records], np.float64)
        return np.nan_to_num(values), (~np.isnan(values)).astype(np.float64)
    raw, windows = (np.array([record[name] or 0 for record in records], np.float64) for name in ("raw", "windows"))
    # From 0 for detecting nothing to 100 for detecting all at once.
    return 100 * (raw + profile.false_negative * windows), (1 + profile.false_negative) * windows


def bound_series(total: NDArray, count: NDArray, bootstrap: Bootstrap) -> Interval | None:
    """Bound a ratio of sums by drawing series; None where nothing counts."""
    if not count.any():
        return None
    plan = ResamplingPlan(by="series", unit_of_window=np.arange(len(count)), num_units=len(count), overlap=0)
    (interval,) = bootstrap.bound_ratios(total[:, None], count[:, None], plan)
    return interval
