"""Pictures of what a detector found in a series, of what was there, and of how scores are distributed.

Which series a report draws, as a detector judged them, is chosen here as well.
"""

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
from tasks.kinds.detect.summaries import WarmUpSummary
from tasks.kinds.forecast.stored_windows import read_layout
from tasks.panel.time_grid import Clock, show_time
from tasks.reporting.plots import FAINT, INK, PALETTE, add_legend, new_axes, new_figure, plain, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_INCHES = 3.9
MAX_PIECES = 700  # of a line, each drawn by its lowest and its highest row: more would be narrower than a pixel
MAX_TICKS, MAX_TITLE = 4, 70
TRUE, FOUND, EXPECTED = PALETTE[2], PALETTE[1], PALETTE[4]

MAX_PICTURES = 6


def draw_detections(
    values: NDArray,
    surprise: NDArray,
    *,
    title: str,
    threshold: float,
    events: Sequence[Event],
    windows: Sequence[tuple[int, int]],
    warm_up_rows: int,
    expected: NDArray | None = None,
    name_row: Callable[[int], str] | None = None,
) -> "Figure":
    """A series with its true windows shaded and an arrow at each alarm, over the scores of its rows.

    `expected` is what was forecast of each row; `name_row` says what stands at a row of the axis, else its number.
    """
    figure = new_figure(height=HEIGHT_INCHES)
    above, below = figure.subplots(2, sharex=True, height_ratios=(2, 1))
    style_axes(above, plain(title, MAX_TITLE))
    style_axes(below, "")
    if expected is not None:
        _draw_line(above, expected, color=EXPECTED, alpha=0.8, label="expected")
    _draw_line(above, values, color=INK, label="value")
    _mark_alarms(above, values, events)
    _draw_surprise(below, surprise, threshold)
    for axes in (above, below):
        _shade(axes, windows, warm_up_rows)
    if name_row is not None:
        _name_rows(below, len(values), name_row)
    add_legend(above)
    return figure


def draw_calibration(calibration: Sequence[Mapping[str, float]]) -> "Figure":
    """Share of rows above each anomaly score, next to the share expected by chance; zero has no mark."""
    figure, axes = new_axes("Rows by anomaly score, compared with chance", height=2.9)
    decades, observed, expected = (
        np.array([one[name] for one in calibration]) for name in ("decades", "observed", "expected")
    )
    axes.plot(decades, expected, color=FAINT, linestyle="--", marker="o", markersize=3, label="chance")
    some = observed > 0
    axes.plot(decades[some], observed[some], color=PALETTE[0], marker="o", markersize=4.5, label="test rows")
    axes.set(xlabel="anomaly score (-log10 p) exceeded", ylabel="share of rows", yscale="log")
    axes.locator_params(axis="x", integer=True)
    add_legend(axes)
    return figure


def outline_rows(values: NDArray) -> NDArray[np.int64]:
    """Rows that draw the same line as all of them: the lowest and the highest of each of at most 700 pieces."""
    width = -(-len(values) // MAX_PIECES)
    if width <= 2:  # noqa: PLR2004 (a piece of two rows is its lowest and its highest)
        return np.arange(len(values))
    pieces = np.pad(values, (0, -len(values) % width), mode="edge").reshape(-1, width)
    first = width * np.arange(len(pieces))
    rows = np.concatenate([first + pieces.argmin(axis=1), first + pieces.argmax(axis=1)])
    return np.unique(np.minimum(rows, len(values) - 1))


def _draw_line(
    axes: "Axes", values: NDArray, *, color: str, label: str | None = None, alpha: float | None = None
) -> None:
    rows = outline_rows(values)
    axes.plot(rows, values[rows], linewidth=0.6, color=color, label=label, alpha=alpha)


def _mark_alarms(axes: "Axes", values: NDArray, events: Sequence[Event]) -> None:
    """A row of marks over the values, none of which they hide."""
    starts = [event.start for event in events]
    lowest, highest = values.min(), values.max()
    heights = np.full(len(starts), highest + 0.06 * ((highest - lowest) or 1))
    axes.plot(starts, heights, "v", color=FOUND, markersize=4, label="alarm")
    axes.set(ylabel="value")
    axes.yaxis.set_major_formatter("{x:g}")


def _draw_surprise(axes: "Axes", surprise: NDArray, threshold: float) -> None:
    _draw_line(axes, surprise, color=PALETTE[0])
    axes.axhline(threshold, color=FOUND, linewidth=0.9, linestyle="--")
    axes.set(xlabel="row", ylabel="surprise", ylim=(0, 2.5 * threshold))
    axes.margins(x=0)


def _shade(axes: "Axes", windows: Sequence[tuple[int, int]], warm_up_rows: int) -> None:
    axes.axvspan(0, warm_up_rows, color=FAINT, alpha=0.2, linewidth=0, label="warm-up")
    for position, (first, last) in enumerate(windows):
        label = "_" if position else "anomaly"
        axes.axvspan(first, last, color=TRUE, alpha=0.25, linewidth=0, label=label)


def _name_rows(axes: "Axes", num_rows: int, name_row: Callable[[int], str]) -> None:
    rows = np.linspace(0, num_rows - 1, min(MAX_TICKS, num_rows)).astype(int).tolist()
    axes.set_xticks(rows, [name_row(row) for row in rows], parse_math=False)
    axes.set(xlabel="")
    for label, side in zip(axes.get_xticklabels()[:: len(rows) - 1 or 1], ("left", "right"), strict=False):
        label.set_horizontalalignment(side)


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
