"""Plots of forecasts: single windows, errors by step and by channel, and what the errors still know of each other."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.kinds.forecast.losses import central_intervals
from tasks.reporting.plots import (
    FAINT,
    INK,
    PALETTE,
    add_legend,
    draw_intervals,
    new_axes,
    new_figure,
    plain,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRIC_TITLES = {
    "mse": "Mean squared error, scaled units",
    "mae": "Mean absolute error, scaled units",
    "mase": "Mean absolute scaled error (MASE)",
    "crps": "Ranked probability score (CRPS), scaled units",
}
BANDS = ("#dceaf4", "#b9d6ea", "#96c2df", "#73add5")
BASELINE_STYLES = (":", "--", "-.")
SINGLE_SERIES = "series"  # the name of a series that came without one
MAX_CHANNELS = 20
FAR_APART = 10  # times
WINDOW_HEIGHT_INCHES = 2.1


def draw_windows(windows: Mapping[str, Mapping], levels: Sequence[float]) -> "Figure":
    """Forecast against truth in the best, the median and the worst window of test, in original units.

    `windows` is what an evaluation says of them, by rank; `levels` are those of their quantiles.
    """
    figure = new_figure(height=WINDOW_HEIGHT_INCHES * len(windows))
    panels = figure.subplots(len(windows), squeeze=False)[:, 0]
    for axes, (rank, window) in zip(panels, windows.items(), strict=True):
        style_axes(axes, _title_window(rank, window))
        _draw_course(axes, window)
        _draw_bands(axes, np.array(window["quantiles"]), levels)
    panels[-1].set_xlabel("steps from the last known value")
    add_legend(panels[0])
    return figure


def draw_error_by_step(
    candidates: dict[str, Sequence[Mapping]], baselines: dict[str, Sequence[Mapping]], metric: str
) -> "Figure":
    """Error at each step of the horizon, with intervals around the candidates; records are those of `by_step`."""
    figure, axes = new_axes(f"{METRIC_TITLES[metric]}, by step")
    marker = "o" if len(next(iter(candidates.values()))) == 1 else None
    for position, (name, records) in enumerate(candidates.items()):
        colour, (step, value, low, high) = PALETTE[position % len(PALETTE)], _by_step(records, metric)
        axes.fill_between(step, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(step, value, color=colour, linewidth=1.8, marker=marker, label=plain(name))
    for position, (name, records) in enumerate(baselines.items()):
        step, value, _, _ = _by_step(records, metric)
        style = BASELINE_STYLES[position % len(BASELINE_STYLES)]
        axes.plot(step, value, color=FAINT, linewidth=1.4, linestyle=style, marker=marker, label=plain(name))
    axes.set(xlabel="step of the horizon", ylabel="error")
    axes.locator_params(axis="x", integer=True)
    highest = [max(one[metric]["value"] for one in records) for records in (candidates | baselines).values()]
    _fit_scale(axes, highest)
    add_legend(axes)
    return figure


def draw_error_by_channel(models: Mapping[str, Sequence[Mapping]], metric: str) -> "Figure":
    """Error of each channel with its interval; of many channels those where the first model errs most.

    Records are those of `by_channel`; a channel without the metric has no mark.
    """
    first = next(iter(models.values()))
    ordered = sorted(range(len(first)), key=lambda row: -first[row].get(metric, {"value": 0.0})["value"])
    shown = sorted(ordered[:MAX_CHANNELS])
    few = "" if len(shown) == len(first) else f" ({len(shown)} of {len(first):,}, the worst)"
    figure, axes = new_axes(
        f"{METRIC_TITLES[metric]}, by channel{few}", height=1.3 + 0.11 * len(shown) * (1 + len(models))
    )
    for position, (name, records) in enumerate(models.items()):
        rows = [(place, records[row][metric]) for place, row in enumerate(shown) if metric in records[row]]
        places = [place + 0.7 * ((position + 0.5) / len(models) - 0.5) for place, _ in rows]
        colour = PALETTE[position % len(PALETTE)]
        draw_intervals(axes, [interval for _, interval in rows], places, color=colour, label=plain(name))
    axes.set_yticks(range(len(shown)), [plain(first[row]["channel"]) for row in shown], parse_math=False)
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="error", ylim=(len(shown) - 0.4, -0.6))
    add_legend(axes)
    return figure


def draw_autocorrelation(residuals: Mapping) -> "Figure":
    """Autocorrelation of the errors one step ahead; 95 % of those of white noise lie in the band."""
    figure, axes = new_axes("Autocorrelation of the errors one step ahead", height=2.8)
    lags, values = ([one[column] for one in residuals["autocorrelation"]] for column in ("lag", "value"))
    axes.axhspan(-residuals["bound"], residuals["bound"], color=FAINT, alpha=0.2, linewidth=0)
    axes.vlines(lags, 0, values, color=PALETTE[0], linewidth=1.4)
    axes.plot(lags, values, "o", color=PALETTE[0], markersize=2.5)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set(xlabel="lag (steps)", ylim=_pad(values))
    axes.locator_params(axis="x", integer=True)
    return figure


def _title_window(rank: str, window: Mapping) -> str:
    of_series = "" if window["series"] == SINGLE_SERIES else f" of {plain(window['series'])}"
    return (
        f"{rank.capitalize()}: {plain(window['channel'])}{of_series} after {window['origin']}, MSE {window['mse']:.3g}"
    )


def _draw_bands(axes: "Axes", quantiles: np.ndarray, levels: Sequence[float]) -> None:
    """Shade the central intervals, the narrower darker and over the wider."""
    intervals = central_intervals(levels)
    for position, (percent, lower, upper) in enumerate(intervals):
        steps, colour = np.arange(1, quantiles.shape[1] + 1), BANDS[min(position, len(BANDS) - 1)]
        label = f"{percent}% interval"
        axes.fill_between(steps, quantiles[lower], quantiles[upper], color=colour, linewidth=0, label=label)


def _draw_course(axes: "Axes", window: Mapping) -> None:
    """History and truth as one line, and the forecast from the last known value on."""
    history, truth, point = (np.array(window[part]) for part in ("history", "truth", "point"))
    known = np.arange(1 - len(history), 1)
    coming = np.arange(1, len(truth) + 1)
    axes.plot([*known, *coming], [*history, *truth], color=INK, linewidth=1.1, label="truth")
    axes.plot([0, *coming], [history[-1], *point], color=PALETTE[0], linewidth=1.8, label="forecast")
    axes.axvline(0, color=FAINT, linewidth=1, linestyle=":")
    axes.margins(x=0.01)


def _by_step(records: Sequence[Mapping], metric: str) -> np.ndarray:
    """Rows of step, value, low and high."""
    return np.array([[one["step"], *(one[metric][bound] for bound in ("value", "low", "high"))] for one in records]).T


def _fit_scale(axes: "Axes", highest: Sequence[float]) -> None:
    """Show models whose highest errors are far apart on a logarithmic axis, others from 0."""
    if 0 < FAR_APART * min(highest) < max(highest):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(bottom=0)


def _pad(values: Sequence[float]) -> tuple[float, float]:
    """Limits of an axis of autocorrelations: at least from -0.2 to 0.2, and some space beyond the values."""
    return min(-0.2, *values) - 0.05, max(0.2, *values) + 0.05
