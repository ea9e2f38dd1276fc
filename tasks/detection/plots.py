"""Pictures of what a detector found in a series, and of what was there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.detection.events import Event
from tasks.plots import FAINT, INK, PALETTE, add_legend, new_figure, plain, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_INCHES = 4.2
TRUE, FOUND = PALETTE[2], PALETTE[1]


def draw_detections(
    values: np.ndarray,
    surprise: np.ndarray,
    *,
    title: str,
    threshold: float,
    events: Sequence[Event],
    windows: Sequence[tuple[int, int]],
    warm_up_rows: int,
) -> "Figure":
    """A series with its true windows shaded and an arrow at each alarm, over the surprise of its rows."""
    figure = new_figure(height=HEIGHT_INCHES)
    above, below = figure.subplots(2, sharex=True, height_ratios=(2, 1))
    style_axes(above, plain(title))
    style_axes(below, "")
    _draw_values(above, values, events)
    _draw_surprise(below, surprise, threshold)
    for axes in (above, below):
        _shade(axes, windows, warm_up_rows)
    add_legend(above)
    return figure


def _draw_values(axes: "Axes", values: np.ndarray, events: Sequence[Event]) -> None:
    axes.plot(values, color=INK, linewidth=0.6, label="value")
    starts = [event.start for event in events]
    # A row of marks over the values, none of which they hide.
    lowest, highest = values.min(), values.max()
    heights = np.full(len(starts), highest + 0.06 * ((highest - lowest) or 1))
    axes.plot(starts, heights, "v", color=FOUND, markersize=4, label="alarm")
    axes.set(ylabel="value")


def _draw_surprise(axes: "Axes", surprise: np.ndarray, threshold: float) -> None:
    axes.plot(surprise, color=PALETTE[0], linewidth=0.6)
    axes.axhline(threshold, color=FOUND, linewidth=0.9, linestyle="--")
    axes.set(xlabel="row", ylabel="surprise (decades)", ylim=(0, 2.5 * threshold))
    axes.margins(x=0)


def _shade(axes: "Axes", windows: Sequence[tuple[int, int]], warm_up_rows: int) -> None:
    axes.axvspan(0, warm_up_rows, color=FAINT, alpha=0.2, linewidth=0, label="warm-up")
    for position, (first, last) in enumerate(windows):
        label = "_" if position else "anomaly"
        axes.axvspan(first, last, color=TRUE, alpha=0.25, linewidth=0, label=label)
