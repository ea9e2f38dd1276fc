"""Plots of forecasts show every model and take any name."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from tasks.kinds.forecast import plots
from tasks.reporting.plots import write_png

HOSTILE = "$x^$ \u202e<b>\x1b[31m"


def errors(value: float) -> dict:
    return {"mse": {"value": value, "low": 0.9 * value, "high": 1.2 * value}}


def by_step(scale: float, horizon: int = 12) -> list[dict]:
    return [{"step": step, **errors(scale * step)} for step in range(1, horizon + 1)]


def by_channel(num_channels: int, scale: float = 1.0) -> list[dict]:
    return [{"channel": f"{index}{HOSTILE}", **errors(scale * (index + 1))} for index in range(num_channels)]


def window(levels: int) -> dict:
    truth = np.sin(np.arange(8.0))
    quantiles = [(truth + shift).tolist() for shift in np.linspace(-1, 1, levels)] if levels else []
    return {
        "window": 3, "channel": HOSTILE, "series": HOSTILE, "origin": "2020-01-01 00:00:00", "mse": 0.25,
        "history": np.cos(np.arange(16.0)).tolist(), "truth": truth.tolist(), "point": (0.5 * truth).tolist(),
        "quantiles": quantiles,
    }  # fmt: skip


def windows(levels: int = 3) -> dict:
    return {rank: window(levels) for rank in ("best", "median", "worst")}


def residuals() -> dict:
    return {"windows": 100, "bound": 0.2, "autocorrelation": [{"lag": lag, "value": 0.9**lag} for lag in range(1, 25)]}


FIGURES: dict[str, Callable[[], Figure]] = {
    "windows": lambda: plots.draw_windows(windows(), [0.1, 0.5, 0.9]),
    "windows_without_quantiles": lambda: plots.draw_windows(windows(0), []),
    "error_by_step": lambda: plots.draw_error_by_step({HOSTILE: by_step(1)}, {"drift": by_step(2)}, "mse"),
    "error_by_channel": lambda: plots.draw_error_by_channel({"gru": by_channel(3), HOSTILE: by_channel(3)}, "mse"),
    "autocorrelation": lambda: plots.draw_autocorrelation(residuals()),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_plot_shows_something_in_colour(name: str, tmp_path: Path):
    pixels = matplotlib.image.imread(write_png(FIGURES[name](), tmp_path / "plot.png"))[..., :3]

    assert 0.0005 < (np.ptp(pixels, axis=2) > 0.2).mean() < 0.8
    assert (pixels[0] == 1).all(), "the margin is white"


def test_equal_figures_have_equal_bytes(tmp_path: Path):
    first, second = (write_png(FIGURES["autocorrelation"](), tmp_path / f"{index}.png") for index in (1, 2))

    assert first.read_bytes() == second.read_bytes()


def test_each_window_names_its_rank_place_and_error():
    titles = [axes.get_title(loc="left") for axes in plots.draw_windows(windows(), [0.1, 0.5, 0.9]).axes]

    place = "$x^$ \\u202e<b>\\x1b[31m"
    assert titles[0] == f"Best: {place} of {place} after 2020-01-01 00:00:00, MSE 0.25"
    assert [title.partition(":")[0] for title in titles] == ["Best", "Median", "Worst"]


def test_bands_are_drawn_for_central_intervals_only():
    axes = plots.draw_windows(windows(), [0.1, 0.5, 0.9]).axes[0]

    assert [label for label in axes.get_legend_handles_labels()[1] if "interval" in label] == ["80% interval"]
    assert axes.lines[1].get_xdata().tolist() == list(range(9))


@pytest.mark.parametrize(("drift", "scale"), [(2.0, "linear"), (50.0, "log")])
def test_errors_that_are_far_apart_share_a_logarithmic_axis(drift, scale):
    figure = plots.draw_error_by_step({"gru": by_step(1)}, {"drift": by_step(drift)}, "mse")

    assert figure.axes[0].get_yscale() == scale


def test_a_single_step_is_marked_by_a_dot():
    figure = plots.draw_error_by_step({"gru": by_step(1, horizon=1)}, {}, "mse")

    assert figure.axes[0].lines[0].get_marker() == "o"


def test_of_many_channels_the_worst_are_shown_in_their_order():
    axes = plots.draw_error_by_channel({"gru": by_channel(100)}, "mse").axes[0]

    assert axes.get_title(loc="left") == "Mean squared error, scaled units, by channel (20 of 100, the worst)"
    assert [label.get_text()[:2] for label in axes.get_yticklabels()] == [str(index) for index in range(80, 100)]


def test_a_channel_without_the_metric_has_no_mark():
    records = by_channel(3)
    del records[1]["mse"]

    axes = plots.draw_error_by_channel({"gru": records}, "mse").axes[0]

    assert axes.lines[0].get_ydata() == pytest.approx([0, 2])
