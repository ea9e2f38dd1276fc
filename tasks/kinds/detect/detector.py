"""A detector of anomalies: over all rows of a series at once, or row by row as they arrive.

Both take the same steps in the same order: level, error of the forecast made `horizon` rows before, score, event.
The score of a row is the highest of its channels. Every model leaves its scores in the same files for later stages.
Shapes: N rows, L look-back, H horizon, C channels, D features of the calendar.
"""

import json
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.errors import InputError, quoted
from tasks.kinds.detect.events import Event, EventTracker, count_gap_rows, find_threshold
from tasks.kinds.detect.forecasting import forecast_row
from tasks.kinds.detect.likelihood import Evidence, RollingLikelihood, choose_evidence, measure_surprise
from tasks.kinds.detect.settings import DetectorSettings
from tasks.panel.time_grid import describe_times

if TYPE_CHECKING:
    from rnnmodels.forecasters.forecaster import SequenceForecaster
    from tasks.kinds.detect.levels import LevelScaler


@dataclass(frozen=True)
class Opinion:
    """Forecasts of levels [rows, channels], the score of each row, and how many pieces of evidence it sums up."""

    forecasts: NDArray[np.float32]
    surprise: NDArray[np.float64]
    num_evidence: int


def write_opinions(folder: Path, opinions: Sequence[Opinion], settings: DetectorSettings) -> float:
    """Store what is made of series in their order; returns the threshold.

    Files `forecasts.npy`, `surprise.npy`, and `detector.json`: from which score on a row is anomalous, and which of
    such rows are one event.
    """
    forecasts = np.concatenate([one.forecasts for one in opinions])
    num_evidence = opinions[0].num_evidence
    threshold = decide_threshold(settings, forecasts.shape[1], num_evidence)
    np.save(folder / "forecasts.npy", forecasts)
    np.save(folder / "surprise.npy", np.concatenate([one.surprise for one in opinions]))
    told = {"threshold": threshold, "gap_share": settings.events.gap_share, "num_evidence": num_evidence}
    (folder / "detector.json").write_text(json.dumps(told), encoding="utf-8")
    return threshold


def judge_rows(
    levels_NC: NDArray[np.float32],
    forecasts_NC: NDArray[np.float32],
    settings: DetectorSettings,
    evidence: Sequence[Evidence] | None = None,
    *,
    num_past: int = 0,
) -> NDArray[np.float64]:
    """Anomaly score of each row of a series in decades (N), by all evidence there is or by some of it.

    The first `num_past` rows were judged before, and are left out of the answer.
    """
    chosen = choose_evidence(settings.likelihood) if evidence is None else evidence
    surprises = [
        measure_surprise(residuals, chosen, settings.likelihood, num_past=num_past)
        for residuals in _residuals_of_channels(levels_NC, forecasts_NC)
    ]
    return np.max(surprises, axis=0)


def decide_threshold(settings: DetectorSettings, num_channels: int, num_evidence: int | None = None) -> float:
    """Score from which on a row is anomalous, in decades; each of several channels gets its share of the chance."""
    count = len(choose_evidence(settings.likelihood)) if num_evidence is None else num_evidence
    return find_threshold(settings.events.tail_probability / num_channels, count)


@dataclass(frozen=True)
class Judgement:
    """What is known of a row as soon as it has arrived; `expected` is what was forecast of each channel.

    `is_alarm` says that with this row an event begins.
    """

    surprise: float
    expected: tuple[float, ...]
    is_anomaly: bool
    is_alarm: bool


class StreamingDetector:
    """Judges the rows of one series in turn; what it says of a row depends on no later one.

    The warm-up rows pass through it as well, without alarms. Where rows are `is_ordered`, one that is not later than
    the last is refused.
    """

    def __init__(
        self,
        model: "SequenceForecaster",
        scaler: "LevelScaler",
        series: str,
        *,
        warm_up_rows: int,
        settings: DetectorSettings,
        is_ordered: bool = True,
    ) -> None:
        self.model = model
        self.scaler = scaler
        self.series = series
        self._warm_up_left = warm_up_rows
        evidence = choose_evidence(settings.likelihood)
        self._likelihoods = [RollingLikelihood(evidence, settings.likelihood) for _ in scaler.channels]
        self._tracker = EventTracker(
            threshold=decide_threshold(settings, len(scaler.channels)),
            gap_rows=count_gap_rows(settings.events.gap_share, warm_up_rows),
            first_row=warm_up_rows,
        )
        self._recent: deque[tuple[NDArray, NDArray]] = deque(maxlen=model.shape.num_steps)
        self._num_rows = 0
        self._is_ordered = is_ordered
        self._last: datetime | int | None = None
        self._last_values = [scaler.series[series][channel].centre for channel in scaler.channels]

    @property
    def events(self) -> list[Event]:
        """The events so far, the last of which may continue."""
        return self._tracker.events

    def update(self, time: datetime | int, values: Sequence[float]) -> Judgement:
        """Judge the next row, given its time and the number of each channel; NaN is a missing one.

        Raises InputError, after which the next row can be another one: E-DET-021 for a time of another kind, E-DET-025
        for a row that is not later than the last, E-DET-026 for other numbers than one of each channel, E-SER-009 for a
        missing one.
        """
        self._refuse_time(time)
        values = self._complete(time, values)
        self._last, self._last_values = time, values
        levels_1C = self.scaler.levels(self.series, np.array([values], np.float64))
        row = (levels_1C[0], self.scaler.describe_times(pl.Series([time]))[0])
        # Before its first row a series is taken to have stood still.
        self._recent.extend([row] * (1 if self._recent else self.model.shape.num_steps))
        forecast_C = self._forecast_row()
        self._num_rows += 1
        channels = _residuals_of_channels(levels_1C, forecast_C[None])
        surprise = max(
            likelihood.update({name: values[0] for name, values in residuals.items()})
            for likelihood, residuals in zip(self._likelihoods, channels, strict=True)
        )
        expected = tuple(self.scaler.values(self.series, forecast_C[None])[0].tolist())
        if self._warm_up_left:
            self._warm_up_left -= 1
            return Judgement(surprise, expected, is_anomaly=False, is_alarm=False)
        is_alarm = self._tracker.update(surprise)
        return Judgement(surprise, expected, is_anomaly=surprise >= self._tracker.threshold, is_alarm=is_alarm)

    def catch_up(
        self,
        levels_NC: NDArray[np.float32],
        forecasts_NC: NDArray[np.float32],
        calendar_ND: NDArray[np.float32],
        *,
        surprise: NDArray[np.float64],
        first_row: int,
        last: datetime | int,
        last_values: Sequence[float],
    ) -> None:
        """Take in rows that were judged before, instead of updates; the first is the series' `first_row`.

        They reach back a long run and a window, or to the beginning of the series. Scores are NaN in the warm-up.
        """
        rows = list(zip(levels_NC, calendar_ND, strict=True))
        self._recent.extend([rows[0]] * self.model.shape.num_steps + rows)
        self._num_rows = first_row + len(rows)
        self._last, self._last_values = last, list(last_values)
        for likelihood, residuals in zip(
            self._likelihoods, _residuals_of_channels(levels_NC, forecasts_NC), strict=True
        ):
            likelihood.remember(residuals)
        self._tracker = EventTracker(
            threshold=self._tracker.threshold, gap_rows=self._tracker.gap_rows, first_row=first_row
        )
        for one in surprise:
            self._tracker.update(float(one))
        self._warm_up_left = 0

    def _refuse_time(self, time: datetime | int) -> None:
        if self._last is None:
            return
        kind, known = (describe_times(pl.Series([one]).dtype) for one in (time, self._last))
        if kind != known:
            raise InputError(
                "E-DET-021",
                f"the row at {time} has a time that is one of {kind}, expected {known} as before.",
                fix="give the time as in the rows before.",
            )
        if self._is_ordered and not _is_later(time, self._last):
            raise InputError(
                "E-DET-025",
                f"series {quoted(self.series)} has a row at {time}, which is not later than {self._last}, the last one "
                "seen.",
                fix="leave it out; a row that was seen keeps its first result.",
            )

    def _complete(self, time: datetime | int, values: Sequence[float]) -> list[float]:
        """Take the last number for a missing one, where that is the policy."""
        names = self.scaler.channels
        if len(values) != len(names) or any(math.isinf(value) for value in values):
            raise InputError(
                "E-DET-026",
                f"series {quoted(self.series)} has {list(values)} at {time}, expected a finite number for each of "
                f"{', '.join(map(quoted, names))}.",
                fix="give one number per channel, NaN for a missing one.",
            )
        missing = [name for name, value in zip(names, values, strict=True) if math.isnan(value)]
        if missing and self.scaler.missing == "error":
            raise InputError(
                "E-SER-009",
                f"a number is missing at {time} in series {quoted(self.series)}.",
                fix='fill it in, or train with encode.missing = "forward".',
                column=missing[0],
            )
        pairs = zip(values, self._last_values, strict=True)
        return [last if math.isnan(value) else float(value) for value, last in pairs]

    def _forecast_row(self) -> NDArray[np.float32]:
        """What the forecaster says of the newest row, from the rows up to `horizon` before it (C)."""
        levels, calendar = zip(*self._recent, strict=True)
        history_LC = np.array(levels)[: self.model.shape.look_back]
        return forecast_row(self.model, history_LC, np.array(calendar), self._num_rows)


def _is_later(time: datetime | int, last: datetime | int) -> bool:
    """Whether a time comes after another of its kind."""
    if isinstance(time, datetime):
        return isinstance(last, datetime) and time > last
    return not isinstance(last, datetime) and time > last


def _residuals_of_channels(
    levels_NC: NDArray[np.float32], forecasts_NC: NDArray[np.float32]
) -> list[dict[str, NDArray[np.float64]]]:
    """What rows are judged by, for each channel."""
    exact_NC = levels_NC.astype(np.float64)
    errors_NC = exact_NC - forecasts_NC
    return [{"level": level_N, "error": error_N} for level_N, error_N in zip(exact_NC.T, errors_NC.T, strict=True)]
