"""The anomaly score of each row of a series, from the sizes of its residuals compared with the long run before it.

Lavin & Ahmad (2015), arXiv:1510.03336, hold the short-run mean of errors against the normal distribution of the long
run. Errors of real series have tails of many shapes, so here the long run is the distribution: a size is as rare as the
share of earlier ones that reach it, and one beyond the record is rarer by a decade for each few percent. Scores are
counted in decades, minus log10 of a probability, so that the scores of several pieces of evidence add up (Fisher).
"""

import functools
import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.kinds.detect.settings import LikelihoodSettings

LEAST_RECORD = 0.01  # deviations of the warm-up rows; a smaller record is exceeded by next to nothing
MIN_ROWS = 30  # with fewer before it, no row scores
DIGITS = 4  # of a size that count: rows that differ by the rounding of a forecast tie


@dataclass(frozen=True)
class Evidence:
    """What rows are judged by: the size of a residual, or of its mean over some last rows."""

    residual: str
    mean_rows: int = 1


class RarityMeter:
    """Tells how rare each size is among those before it, in decades: 2 is one in a hundred."""

    def __init__(self, settings: LikelihoodSettings) -> None:
        self.settings = settings
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []

    def update(self, size: float) -> float:
        """Judge a size of at least 0, and remember it for those that follow."""
        rarity = self._judge(size) if len(self._sorted) >= MIN_ROWS else 0.0
        self._remember(size)
        return rarity

    def remember(self, sizes: Sequence[float]) -> None:
        """Take in sizes that were judged before, instead of updates."""
        self._recent.extend(sizes)
        while len(self._recent) > self.settings.long_run_rows:
            self._recent.popleft()
        self._sorted = sorted(self._recent)

    def _judge(self, size: float) -> float:
        num_before = len(self._sorted)
        num_reaching = num_before - bisect_left(self._sorted, size)
        rarity = math.log10((num_before + 1) / (num_reaching + 1))
        if num_reaching:
            return rarity
        excess = size / max(self._sorted[-1], LEAST_RECORD) - 1
        return rarity + max(0.0, excess) / self.settings.decade_beyond_record

    def _remember(self, size: float) -> None:
        self._recent.append(size)
        insort(self._sorted, size)
        if len(self._recent) > self.settings.long_run_rows:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]


class RollingLikelihood:
    """Takes the residuals of a series row by row, and gives each row its score."""

    def __init__(self, evidence: Sequence[Evidence], settings: LikelihoodSettings) -> None:
        self.evidence = tuple(evidence)
        self._meters = [RarityMeter(settings) for _ in self.evidence]
        self._runs = [deque[float](maxlen=one.mean_rows) for one in self.evidence]

    def update(self, residuals: Mapping[str, float]) -> float:
        """Anomaly score of the next row in decades, summed over the evidence."""
        surprise = 0.0
        for one, meter, run in zip(self.evidence, self._meters, self._runs, strict=True):
            surprise += meter.update(_measure_size(run, float(residuals[one.residual])))
        return surprise

    def remember(self, residuals: Mapping[str, NDArray[np.floating]]) -> None:
        """Take in the residuals of rows that were judged before, instead of updates."""
        for one, meter, run in zip(self.evidence, self._meters, self._runs, strict=True):
            taken_in = residuals[one.residual].astype(np.float64)
            meter.remember(_measure_sizes(taken_in.tobytes(), one.mean_rows))
            run.extend(taken_in.tolist())


@functools.lru_cache(maxsize=48)
def _measure_sizes(residuals: bytes, mean_rows: int) -> tuple[float, ...]:
    """Sizes of the means of successive runs; kept for the series that a server is asked about again and again."""
    run = deque[float](maxlen=mean_rows)
    return tuple(_measure_size(run, residual) for residual in np.frombuffer(residuals).tolist())


def _measure_size(run: deque[float], residual: float) -> float:
    """Size of the mean of a run that continues with a residual."""
    if run.maxlen == 1:  # its own mean
        return round(abs(residual), DIGITS)
    run.append(residual)
    return round(abs(math.fsum(run) / len(run)), DIGITS)


def choose_evidence(settings: LikelihoodSettings) -> tuple[Evidence, ...]:
    """What a detector judges by: the level, its short-run mean, and the error of the forecast."""
    return Evidence("level"), Evidence("level", settings.short_run_rows), Evidence("error")


def measure_surprise(
    residuals: Mapping[str, NDArray[np.floating]],
    evidence: Sequence[Evidence],
    settings: LikelihoodSettings,
    *,
    num_past: int = 0,
) -> np.ndarray:
    """Anomaly score of each row of a whole series: the same numbers, to the last bit, as those of its rows one by one.

    The first `num_past` rows were judged before, and are not judged again.
    """
    likelihood = RollingLikelihood(evidence, settings)
    likelihood.remember({name: sizes[:num_past] for name, sizes in residuals.items()})
    needed = list(dict.fromkeys(one.residual for one in evidence))
    rows = zip(*(residuals[name][num_past:] for name in needed), strict=True)
    return np.array([likelihood.update(dict(zip(needed, row, strict=True))) for row in rows])
