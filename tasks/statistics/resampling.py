"""What may be resampled when windows overlap: blocks of neighbouring origins, or whole series.

Windows that start at neighbouring origins share most of their targets, so rows of a forecast's errors cannot be drawn
one by one. A *unit* is either all windows of one origin (they share the same future, whatever their series) or all
windows of one series; the plan takes whichever gives more independent pieces. Units by origin are drawn in blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.statistics.intervals import RESAMPLES_AT_ONCE, Interval, percentile_interval

# Bounds the memory of sums by unit and step; more origins are merged with their neighbours.
MAX_UNITS = 1024
# The losses of two origins are correlated up to an overlap apart. A block of one overlap sees two thirds of the
# variance of such a mean, one of two overlaps five sixths; longer ones leave too few blocks.
OVERLAPS_IN_BLOCK = 2
MIN_BLOCKS = 4
FEW_PIECES = 10


@dataclass(frozen=True, kw_only=True)
class ResamplingPlan:
    """Which unit each window belongs to, and how many consecutive units are drawn together.

    `unit_of_window` is int64 [windows]; units count from 0 and by origin they are ordered in time. `overlap` is the
    number of consecutive units whose windows share targets, 0 for series, which are taken to be independent.
    """

    by: Literal["origin", "series"]
    unit_of_window: np.ndarray
    num_units: int
    overlap: int

    @property
    def block(self) -> int:
        """Consecutive units drawn together."""
        return max(1, min(OVERLAPS_IN_BLOCK * self.overlap, self.num_units // MIN_BLOCKS))

    @property
    def pieces(self) -> float:
        """How many units share no target with each other."""
        return self.num_units / max(1, self.overlap)

    def average(self, value_per_window: np.ndarray) -> np.ndarray:
        """Mean over the windows of each unit, such as the gains that a Diebold-Mariano test takes: float64 [units]."""
        return np.bincount(self.unit_of_window, value_per_window) / np.bincount(self.unit_of_window)

    def draw(self, resamples: int, seed: int) -> Iterator[np.ndarray]:
        """Yield, some resamples at a time, how often each unit was drawn: float64 [units, resamples]."""
        return draw_blocks(self.num_units, self.block, resamples, seed)

    def find_warnings(self, split: str) -> list[str]:
        """Say that the intervals of a split come from too few independent pieces, where they do."""
        if self.pieces >= FEW_PIECES:
            return []
        what = "series" if self.by == "series" else "stretches as long as the horizon"
        pieces = f"{self.pieces:.1f}".removesuffix(".0")
        return [f"{split} has only {pieces} independent {what}: its intervals are too narrow."]

    def describe(self) -> dict:
        """JSON value for the report."""
        return {
            "by": self.by,
            "units": self.num_units,
            "overlap": self.overlap,
            "block": self.block,
            "pieces": round(self.pieces, 2),
        }


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How intervals are drawn."""

    resamples: int
    confidence: float
    seed: int

    def bound_ratios(self, total_UK: np.ndarray, count_UK: np.ndarray, plan: ResamplingPlan) -> list[Interval | None]:
        """Bound K ratios of sums over units; None where nothing was counted. Counts may be those of all K: [U, 1]."""
        resampled = [
            _divide(total_UK.T @ weights_UR, count_UK.T @ weights_UR)
            for weights_UR in plan.draw(self.resamples, self.seed)
        ]
        estimates = _divide(total_UK.sum(axis=0), count_UK.sum(axis=0))
        return [
            percentile_interval(value, draws, self.confidence) if np.isfinite(value) else None
            for value, draws in zip(estimates, np.concatenate(resampled, axis=1), strict=True)
        ]


def plan_resampling(series: np.ndarray, origins: np.ndarray, *, horizon: int, stride: int) -> ResamplingPlan:
    """Choose units for windows, given the series and the time of the first target of each: int [windows].

    `horizon` and `stride` are in steps; consecutive origins of a series are `stride` steps apart.
    """
    distinct_origins, rank_of_window = np.unique(origins, return_inverse=True)
    distinct_series, series_of_window = np.unique(series, return_inverse=True)
    overlap = -(-horizon // stride)
    if len(distinct_series) > len(distinct_origins) / overlap:
        return ResamplingPlan(by="series", unit_of_window=series_of_window, num_units=len(distinct_series), overlap=0)
    merged = -(-len(distinct_origins) // MAX_UNITS)
    return ResamplingPlan(
        by="origin",
        unit_of_window=rank_of_window // merged,
        num_units=-(-len(distinct_origins) // merged),
        overlap=-(-overlap // merged),
    )


def draw_blocks(num_units: int, block: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Draw blocks of consecutive units on a circle and yield how often each was drawn: float64 [units, resamples].

    The circle lets every unit be drawn equally often, so that resampled means centre on the mean (the circular
    moving-block bootstrap of Politis & Romano 1992). The last block is cut so that every resample has as many units
    as there are.
    """
    generator = np.random.default_rng(seed)
    lengths = np.full(-(-num_units // block), block)
    lengths[-1] = num_units - lengths[:-1].sum()
    for first in range(0, resamples, RESAMPLES_AT_ONCE):
        width = min(RESAMPLES_AT_ONCE, resamples - first)
        starts = generator.integers(num_units, size=(len(lengths), width))
        yield _cover(starts, lengths, num_units)


def _cover(starts: np.ndarray, lengths: np.ndarray, num_units: int) -> np.ndarray:
    """Count how many blocks cover each unit; a block that runs over the end continues at the beginning."""
    # Blocks go up by one at their start and down at their end, on a line of two turns that is then folded.
    changes = np.zeros((2 * num_units + 1, starts.shape[1]))
    column = np.arange(starts.shape[1])
    for start, length in zip(starts, lengths, strict=True):
        changes[start, column] += 1
        changes[start + length, column] -= 1
    covered = np.cumsum(changes, axis=0)
    return covered[:num_units] + covered[num_units:-1]


def _divide(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
