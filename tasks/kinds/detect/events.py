"""From anomaly scores to events: a threshold that needs no labels, and anomalous rows near each other as one event."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Event:
    """Anomalous rows that belong together: the first, the last, and the one with the highest score."""

    start: int
    end: int
    peak: int
    surprise: float


class EventTracker:
    """Takes the scores of rows in turn, and tells at once which of them begins an event."""

    def __init__(self, *, threshold: float, gap_rows: int, first_row: int = 0) -> None:
        self.threshold = threshold
        self.gap_rows = gap_rows
        self.events: list[Event] = []
        self._next_row = first_row

    def update(self, surprise: float) -> bool:
        """Enter the next row; true if it is anomalous and no anomalous row lies at most `gap_rows` before it."""
        row, self._next_row = self._next_row, self._next_row + 1
        if not surprise >= self.threshold:
            return False
        begins = not self.events or row - self.events[-1].end > self.gap_rows
        if begins:
            self.events.append(Event(row, row, row, surprise))
        else:
            self.events[-1] = _extend(self.events[-1], row, surprise)
        return begins


def count_gap_rows(gap_share: float, warm_up_rows: int) -> int:
    """Rows up to which two anomalous rows of one event are apart: neighbours always belong together."""
    return max(1, int(gap_share * warm_up_rows))


def find_threshold(tail_probability: float, num_evidence: int) -> float:
    """Score that independent evidence of ordinary rows reaches with a probability (Fisher's method), in decades.

    The natural logarithms of uniform probabilities sum up to a gamma distribution.
    """
    from scipy import special

    return float(special.gammainccinv(num_evidence, tail_probability)) / math.log(10)


def find_events(surprise: np.ndarray, *, threshold: float, gap_rows: int, first_row: int = 0) -> list[Event]:
    """Find the events of a whole series from `first_row` on, those that a tracker finds row by row."""
    rows = first_row + np.flatnonzero(surprise[first_row:] >= threshold)
    groups = np.split(rows, np.flatnonzero(np.diff(rows) > gap_rows) + 1) if len(rows) else []
    peaks = [group[surprise[group].argmax()] for group in groups]
    return [
        Event(int(group[0]), int(group[-1]), int(peak), float(surprise[peak]))
        for group, peak in zip(groups, peaks, strict=True)
    ]


def mark_alarms(surprise: np.ndarray, events: Sequence[Event]) -> np.ndarray:
    """Keep the score of the rows that begin an event, and 0 elsewhere: one alarm per event."""
    alarms = np.zeros_like(surprise)
    starts = [event.start for event in events]
    alarms[starts] = surprise[starts]
    return alarms


def _extend(event: Event, row: int, surprise: float) -> Event:
    peak, most = (row, surprise) if surprise > event.surprise else (event.peak, event.surprise)
    return Event(event.start, row, peak, most)
