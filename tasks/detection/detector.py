"""A detector of anomalies: over whole series at once, or over one series row by row as its rows arrive.

Both take the same steps in the same order: level, error of the forecast made `horizon` rows before, surprise, event.
Shapes: B copies of a window, T = L + H rows, L look-back, H horizon, C channels, D covariates.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tasks.detection.events import Event, EventTracker, find_events, find_threshold
from tasks.detection.forecasting import forecast_panel
from tasks.detection.likelihood import RollingLikelihood, choose_evidence, measure_surprise
from tasks.detection.panel import LevelScale, Series, describe_times
from tasks.detection.settings import DetectorSettings

if TYPE_CHECKING:
    from rnnmodels.forecaster import SequenceForecaster

# A window alone would be multiplied as a vector, whose sums round otherwise than those of many windows.
COPIES = 8


@dataclass(frozen=True)
class Detection:
    """Surprise of each row of a series in decades, and its events after the warm-up."""

    surprise: np.ndarray
    events: list[Event]


@dataclass(frozen=True)
class Judgement:
    """What is known of a row as soon as it has arrived."""

    surprise: float
    is_alarm: bool


def detect_panel(
    model: "SequenceForecaster", panel: Sequence[Series], folder: Path, settings: DetectorSettings
) -> list[Detection]:
    """Detect the events of each series; the forecaster's input is left in the folder."""
    forecasts = forecast_panel(model, panel, folder)
    return [
        detect(series, {"level": series.levels, "error": series.levels - forecast}, settings)
        for series, forecast in zip(panel, forecasts, strict=True)
    ]


def detect(series: Series, residuals: dict[str, np.ndarray], settings: DetectorSettings) -> Detection:
    """Detect the events of a series from its residuals."""
    evidence = choose_evidence(settings.likelihood)
    surprise = measure_surprise(residuals, evidence, settings.likelihood)
    events = find_events(
        surprise,
        threshold=find_threshold(settings.events.tail_probability, len(evidence)),
        gap_rows=settings.events.gap_rows(series.warm_up_rows),
        first_row=series.warm_up_rows,
    )
    return Detection(surprise, events)


class StreamingDetector:
    """Judges the rows of one series in turn; what it says of a row depends on no later one.

    The scale is that of the warm-up rows, which pass through the detector as well, without alarms.
    """

    def __init__(
        self, model: "SequenceForecaster", scale: LevelScale, *, warm_up_rows: int, settings: DetectorSettings
    ) -> None:
        self.model = model
        self.scale = scale
        self._warm_up_left = warm_up_rows
        evidence = choose_evidence(settings.likelihood)
        self._likelihood = RollingLikelihood(evidence, settings.likelihood)
        self._tracker = EventTracker(
            threshold=find_threshold(settings.events.tail_probability, len(evidence)),
            gap_rows=settings.events.gap_rows(warm_up_rows),
            first_row=warm_up_rows,
        )
        self._recent: deque[tuple[float, np.ndarray]] = deque(maxlen=model.shape.num_steps)

    @property
    def events(self) -> list[Event]:
        """The events so far, the last of which may go on."""
        return self._tracker.events

    def update(self, time: datetime, value: float) -> Judgement:
        """Judge the next row."""
        level = float(self.scale.transform(np.array([value]))[0])
        row = (level, describe_times(pl.Series([time]))[0])
        # Before its first row a series is taken to have stood still.
        self._recent.extend([row] * (1 if self._recent else self.model.shape.num_steps))
        surprise = self._likelihood.update({"level": level, "error": level - self._forecast_row()})
        if self._warm_up_left:
            self._warm_up_left -= 1
            return Judgement(surprise, is_alarm=False)
        return Judgement(surprise, self._tracker.update(surprise))

    def _forecast_row(self) -> float:
        """What the forecaster says of the last row, from the rows up to `horizon` before it."""
        from rnnmodels.forecasts import forecast_arrays

        levels, calendar = zip(*self._recent, strict=True)
        history_LC = np.array(levels, np.float32)[: self.model.shape.look_back, None]
        history_BLC, covariates_BTD = (np.stack([one] * COPIES) for one in (history_LC, np.array(calendar)))
        return float(forecast_arrays(self.model, history_BLC, covariates_BTD)[0, -1, 0, 0])
