"""Plots of a run: quiet, colour-blind-safe, and the same bytes for the same numbers.

Each function returns a new Figure; pyplot and its process-wide state are never touched.
"""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.errors import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008), without the yellow that vanishes on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
INK, FAINT, GRID = "#222222", "#8a8a8a", "#e4e4e4"
DASHES = ("-", "--", ":", "-.")
FAINTEST_GRADIENT = 1e-8  # about what float32 resolves next to 1
WIDTH_INCHES, HEIGHT_INCHES, DOTS_PER_INCH = 5.6, 3.4, 180
MAX_LABEL = 40


def draw_loss_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]], best_epochs: Mapping[str, int]
) -> "Figure":
    """Training and validation loss by epoch of each candidate, its best epoch ringed."""
    figure, axes = new_axes("Loss by epoch: training dashed, validation solid")
    for position, (name, epochs) in enumerate(histories.items()):
        colour = PALETTE[position % len(PALETTE)]
        epoch, train, valid = ([one[column] for one in epochs] for column in ("epoch", "train_loss", "valid_loss"))
        best = epoch.index(best_epochs[name])
        axes.plot(epoch, train, color=colour, linestyle="--", linewidth=1, marker=".", alpha=0.7)
        axes.plot(epoch, valid, color=colour, linewidth=1.8, marker="o", markersize=4, label=plain(name))
        axes.plot(epoch[best], valid[best], "o", markersize=9, markerfacecolor="none", markeredgecolor=colour)
    axes.locator_params(axis="x", integer=True)
    axes.set(xlabel="epoch", ylabel="loss")
    add_legend(axes)
    return figure


def draw_memory(curves: Mapping[str, Mapping[str, Mapping]]) -> "Figure":
    """Gradient in each cell's states by distance from the end, of each candidate; the effective horizon is ringed."""
    figure, axes = new_axes("Gradient in the state, by steps before the end")
    for position, (name, cells) in enumerate(curves.items()):
        colour = PALETTE[position % len(PALETTE)]
        for dashes, (cell, curve) in zip(itertools.cycle(DASHES), cells.items()):
            lag, norm = np.array(curve["lag"]), np.array(curve["norm"])
            at_horizon = norm[lag == curve["horizon"]]
            label = f"{plain(name)}, {cell}: {curve['horizon']:,} steps"
            axes.plot(lag, norm, color=colour, linestyle=dashes, linewidth=1.6, label=label)
            axes.plot([curve["horizon"]], at_horizon, "o", markersize=7, markerfacecolor="white", color=colour)
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(FAINTEST_GRADIENT, axes.get_ylim()[0]))
    axes.set(xlabel="time steps before the end", ylabel="|dL/d state|, 1 at the end")
    add_legend(axes)
    return figure


def write_png(figure: "Figure", path: Path) -> Path:
    """Write a figure without the version of the library that drew it, so that equal plots have equal bytes."""
    figure.savefig(path, format="png", metadata={"Software": None})
    return path


def new_figure(*, width: float = WIDTH_INCHES, height: float = HEIGHT_INCHES) -> "Figure":
    """Make an empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")


def new_axes(title: str, *, width: float = WIDTH_INCHES, height: float = HEIGHT_INCHES) -> "tuple[Figure, Axes]":
    """Make a figure with one pair of quiet axes."""
    figure = new_figure(width=width, height=height)
    return figure, style_axes(figure.add_subplot(), title)


def style_axes(axes: "Axes", title: str) -> "Axes":
    """Take the noise out of axes and put a title above them; names in it are not read as formulas."""
    axes.set_title(title, loc="left", fontsize=10, color=INK, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8, length=3)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.label.set(size=9, color=INK)
    axes.yaxis.label.set(size=9, color=INK)
    return axes


def draw_intervals(
    axes: "Axes",
    intervals: Sequence[Mapping[str, float]],
    places: Sequence[float] | np.ndarray,
    *,
    color: str,
    label: str | None = None,
    vertical: bool = False,
    marker: str = "o",
) -> None:
    """Mark values at their places with bars for their intervals, across or upright."""
    value, low, high = (np.array([one[bound] for one in intervals]) for bound in ("value", "low", "high"))
    spread = np.clip([value - low, high - value], 0, None)
    draw = partial(axes.errorbar, fmt=marker, markersize=4, linewidth=1.2, capsize=2, color=color, label=label)
    if vertical:
        draw(places, value, yerr=spread)
    else:
        draw(value, places, xerr=spread)


def add_legend(axes: "Axes") -> None:
    """Name the colours below the axes, where no data can lie beneath them."""
    handles, names = axes.get_legend_handles_labels()
    legend = axes.figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)


def plain(name: str, longest: int = MAX_LABEL) -> str:
    """A name from the data, short and without control characters."""
    return printable(name if len(name) <= longest else f"{name[: longest - 1]}…")
