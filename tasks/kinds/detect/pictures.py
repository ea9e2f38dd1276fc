"""The series that a report draws, as a detector judged them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.kinds.detect.encode import SCALES_FILE
from tasks.kinds.detect.events import Event
from tasks.kinds.detect.judged_rows import Detector, Panel, judge_split
from tasks.kinds.detect.levels import LevelScaler
from tasks.kinds.detect.measuring import LabelledSurprise
from tasks.kinds.detect.plots import draw_detections
from tasks.kinds.detect.summaries import WarmUpSummary
from tasks.kinds.forecast.stored_windows import read_layout
from tasks.panel.time_grid import Clock, show_time

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_PICTURES = 6


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A series as it is drawn: one channel's numbers and what was expected of them, in the units of the source."""

    title: str
    values: NDArray[np.float64]
    expected: NDArray[np.float64]
    watched: LabelledSurprise
    threshold: float
    name_row: Callable[[int], str]

    @property
    def events(self) -> list[Event]:
        """The events that the detector found."""
        return self.watched.find_events(self.threshold)

    def draw(self) -> "Figure":
        """Draw the numbers over the scores of their rows."""
        return draw_detections(
            self.values,
            self.watched.surprise,
            title=self.title,
            threshold=self.threshold,
            events=self.events,
            windows=self.watched.windows,
            warm_up_rows=self.watched.warm_up_rows,
            expected=self.expected,
            name_row=self.name_row,
        )


def take_pictures(lineage: Lineage, best: Scored, records: Sequence[Mapping]) -> list[Picture]:
    """Choose the series to be drawn by what an evaluation says of each: those with true windows, then by score."""
    panel = Panel.read(lineage.encoded)
    detector = Detector.read(best.model, panel)
    scaler = LevelScaler.from_dict(json.loads(lineage.encoded.file(SCALES_FILE).read_bytes()))
    test = judge_split("test", panel, detector, horizon=read_layout(lineage.shards)["horizon"])
    watched = {one.name: one for one in test.series}
    extents = {one.name: one for one in panel.extents}
    chosen = sorted(records, key=lambda record: (not record["windows"], -record["peak"]))[:MAX_PICTURES]
    pictures = []
    for name in [record["name"] for record in chosen]:
        rows = slice(extents[name].first, extents[name].first + extents[name].rows)
        channel = find_telling_channel(panel.levels[rows], watched[name])
        values, expected = (
            scaler.values(name, levels[rows])[:, channel] for levels in (panel.levels, detector.forecasts)
        )
        picture = Picture(
            title=name if len(scaler.channels) == 1 else f"{name}: {scaler.channels[channel]}",
            values=values,
            expected=expected,
            watched=watched[name],
            threshold=detector.threshold,
            name_row=partial(name_row, panel.times[rows], clock=WarmUpSummary.of(lineage.encoded).clock),
        )
        pictures.append(picture)
    return pictures


def find_telling_channel(levels_NC: NDArray[np.float32], watched: LabelledSurprise) -> int:
    """The channel that lies farthest from its centre at the row with the highest score."""
    peak = watched.warm_up_rows + int(watched.surprise[watched.warm_up_rows :].argmax())
    return int(np.abs(levels_NC[peak]).argmax())


def name_row(times: pl.Series, row: int, *, clock: Clock) -> str:
    """What stands at a row of the axis: its time to the minute, or its step."""
    shown = show_time(times.cast(pl.Int64)[row], clock)
    return shown if clock == "step" else shown[:16].replace("T", " ")
