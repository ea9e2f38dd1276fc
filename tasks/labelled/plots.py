"""Plots of classifiers: scores, lengths, confusion, calibration and parts of the rows."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.reporting.plots import FAINT, INK, PALETTE, add_legend, draw_intervals, new_axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ANNOTATED_CLASSES = 12


def draw_comparison(scores: Mapping[str, Mapping[str, Mapping[str, float]]], confidence: float) -> "Figure":
    """Accuracy of each model on validation and test; `scores[model][split]` is an interval."""
    figure, axes = new_axes(f"Accuracy with {confidence:.0%} intervals", height=1.2 + 0.5 * len(scores))
    for column, (split, colour) in enumerate((("valid", FAINT), ("test", PALETTE[0]))):
        places = np.arange(len(scores)) + 0.16 * (2 * column - 1)
        draw_intervals(axes, [score[split] for score in scores.values()], places, color=colour, label=split)
    _name_rows(axes, list(scores))
    add_legend(axes)
    return figure


def draw_lengths(histogram: Sequence[tuple[int, int]], widths: Sequence[int], unit: str = "tokens") -> "Figure":
    """Rows by length in a unit with the bucket widths; `histogram` pairs lengths with rows."""
    figure, axes = new_axes("Lengths of the training rows, and bucket widths")
    lengths, rows = np.array(histogram).T
    edges = np.linspace(0, max(widths), 61)
    axes.hist(lengths, bins=edges.tolist(), weights=rows, color=PALETTE[4], edgecolor="white", linewidth=0.4)
    for width in widths:
        axes.axvline(width, color=PALETTE[1], linewidth=0.8)
    axes.set(xlabel=f"length after truncation ({unit})", ylabel="rows", xlim=(0, max(widths) * 1.01))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    return figure


def draw_confusion(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> "Figure":
    """Rows by label and prediction, shaded by the share of the label's rows."""
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(2.6 + 0.5 * len(labels), 9)
    figure, axes = new_axes("Label against prediction, test rows", width=side + 1, height=side)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    ticks = np.arange(len(labels))
    names = [plain(label) for label in labels]
    slanted: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(labels) > 2 else {}  # noqa: PLR2004
    axes.set_xticks(ticks, names, parse_math=False, **slanted)
    axes.set_yticks(ticks, names, parse_math=False)
    axes.set(xlabel="predicted", ylabel="label")
    if len(labels) <= MAX_ANNOTATED_CLASSES:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.5 else INK  # noqa: PLR2004
            text = f"{count:,}\n{shares[row, column]:.1%}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    return figure


def draw_calibration(before: Sequence[Mapping], after: Sequence[Mapping], temperature: float) -> "Figure":
    """Accuracy against confidence in bins, before and after temperature scaling; the diagonal is perfect."""
    figure, axes = new_axes("Calibration: accuracy of the test rows by confidence", height=4.4)
    axes.axline((0, 0), slope=1, color=FAINT, linewidth=1, linestyle=":")
    for bins, colour, marker, label in (
        (before, PALETTE[0], "o", "as the model gives it"),
        (after, PALETTE[1], "s", f"after dividing the logits by {temperature:.2f}"),
    ):
        confidence = [one["confidence"] for one in bins]
        accuracy = [one["accuracy"] for one in bins]
        draw_intervals(axes, accuracy, confidence, vertical=True, color=colour, marker=marker, label=label)
    bins = [*before, *after]
    left, bottom = min(one["confidence"] for one in bins), min(one["accuracy"]["low"] for one in bins)
    axes.set(xlabel="mean confidence", ylabel="accuracy", xlim=(left - 0.03, 1.02), ylim=(bottom - 0.03, 1.02))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_percent)
    add_legend(axes)
    return figure


def draw_slices(slices: Sequence[Mapping], accuracy: float) -> "Figure":
    """Accuracy on each slice of the test rows; the line is the accuracy on all of them."""
    names, intervals, places, place = [], [], [], 0.0
    for by, group in groupby(slices, key=lambda one: one["by"]):
        for one in group:
            names.append(f"{by}: {one['slice']}")
            intervals.append(one["accuracy"])
            places.append(place)
            place += 1
        place += 0.6
    figure, axes = new_axes("Accuracy by slice of the test rows; the line is all rows", height=1.2 + 0.27 * place)
    axes.axvline(accuracy, color=FAINT, linewidth=1, linestyle=":")
    draw_intervals(axes, intervals, places, color=PALETTE[0])
    _name_rows(axes, names, places)
    return figure


def _name_rows(axes: "Axes", names: Sequence[str], places: Sequence[float] | None = None) -> None:
    """Put names on the vertical axis, the first on top, and accuracy on the other."""
    places = range(len(names)) if places is None else places
    axes.set_yticks(places, [plain(name) for name in names], parse_math=False)
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="accuracy", ylim=(max(places) + 0.6, min(places) - 0.6))
    axes.xaxis.set_major_formatter(_percent)


def _percent(share: float, _position: float) -> str:
    return f"{100 * share:.4g}%"
