"""Plots of language models: what a character costs each model, by position and by part of the text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.reporting.plots import (
    FAINT,
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

BASELINE_STYLES = (":", "--", "-.")
FEWEST_TOKENS = 20
PROTOCOLS = {"stateful": "Position in the document", "cold": "Position in the cold window"}
THOUSAND = 1024

Bins = Sequence[Mapping[str, float]]


def draw_comparison(models: Mapping[str, Mapping[str, Mapping[str, float]]], confidence: float) -> "Figure":
    """Nats per character of each model on test under both protocols; `models[name][metric]` is an interval."""
    title = f"Nats per test character with {confidence:.0%} intervals"
    figure, axes = new_axes(title, height=1.2 + 0.5 * len(models))
    series = (("nats_per_char", PALETTE[0], "stateful"), ("cold_nats_per_char", PALETTE[1], "cold windows"))
    for column, (metric, colour, label) in enumerate(series):
        places = np.arange(len(models)) + 0.16 * (2 * column - 1)
        draw_intervals(axes, [metrics[metric] for metrics in models.values()], places, color=colour, label=label)
    _name_rows(axes, list(models))
    add_legend(axes)
    return figure


def draw_positions(
    candidates: Mapping[str, Mapping[str, Bins]], baselines: Mapping[str, Mapping[str, Bins]]
) -> "Figure":
    """Nats per token by position in the document and in the cold window; `candidates[name][protocol]` are bins.

    Positions of which test has few tokens are left out.
    """
    figure = new_figure(height=3.2)
    panels = figure.subplots(1, len(PROTOCOLS), sharey=True)
    for axes, (protocol, title) in zip(panels, PROTOCOLS.items(), strict=True):
        style_axes(axes, title)
        for position, (name, bins) in enumerate(candidates.items()):
            colour = PALETTE[position % len(PALETTE)]
            axes.plot(*_curve(bins[protocol]), color=colour, linewidth=1.8, marker="o", markersize=3, label=plain(name))
        for position, (name, bins) in enumerate(baselines.items()):
            style = BASELINE_STYLES[position % len(BASELINE_STYLES)]
            axes.plot(*_curve(bins[protocol]), color=FAINT, linewidth=1.4, linestyle=style, label=plain(name))
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(_show_position)
        axes.set_xlabel("token, counted from 1 (k = 1,024)")
    panels[0].set_ylabel("nats per token")
    _add_legend_of(panels[0])
    return figure


def draw_slices(slices: Mapping[str, Sequence[Mapping]]) -> "Figure":
    """Nats per character of parts of the test text, for each of some models."""
    names = [f"{one['by']}: {one['slice']}" for one in next(iter(slices.values()))]
    figure, axes = new_axes("Nats per character by part of the test text", height=1.3 + 0.3 * len(names))
    for position, (name, records) in enumerate(slices.items()):
        places = np.arange(len(records)) + 0.5 * ((position + 0.5) / len(slices) - 0.5)
        colour = PALETTE[0] if position == 0 else FAINT
        draw_intervals(axes, [one["nats_per_char"] for one in records], places, color=colour, label=plain(name))
    _name_rows(axes, names)
    add_legend(axes)
    return figure


def _curve(bins: Bins) -> tuple[list[float], list[float]]:
    """The middle of each bin, on a logarithmic axis, and its mean."""
    shown = [one for one in bins if one["num_tokens"] >= FEWEST_TOKENS] or list(bins)
    return [(one["first"] * one["last"]) ** 0.5 for one in shown], [one["nats_per_token"] for one in shown]


def _show_position(position: float, _tick: int) -> str:
    """Powers of two, the large ones in units of 1,024."""
    return f"{position / THOUSAND:g}k" if position >= THOUSAND else f"{position:g}"


def _add_legend_of(axes: "Axes") -> None:
    """Name the colours of one of several panels, below the figure."""
    handles, names = axes.get_legend_handles_labels()
    legend = axes.figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _name_rows(axes: "Axes", names: Sequence[str]) -> None:
    """Put names on the vertical axis, the first on top."""
    axes.set_yticks(range(len(names)), [plain(name) for name in names], parse_math=False)
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="nats per character", ylim=(len(names) - 0.4, -0.6))
