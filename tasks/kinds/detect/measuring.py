"""How well detectors do on labelled series: the NAB score, AUC-PR and VUS-PR. Never point-adjusted F1."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tasks.kinds.detect.detection_metrics import average_precision, vus_pr
from tasks.kinds.detect.events import Event, find_events, mark_alarms
from tasks.kinds.detect.nab import OUTSIDE, PROFILES, LabelledScores, Profile, score_file

BUFFER_ROWS = 100  # VUS-PR averages over buffers of up to this many rows around an anomaly


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
