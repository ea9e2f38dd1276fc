from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from tasks.labelled import plots as classifier_plots
from tasks.reporting import plots

HOSTILE = "$x^$ \u202e<b>\x1b[31m"


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.03}


def calibration() -> Figure:
    bins = [{"rows": 10, "confidence": share, "accuracy": interval(share)} for share in (0.55, 0.75, 0.95)]
    return classifier_plots.draw_calibration(bins, bins, 1.3)


def comparison() -> Figure:
    scores = {HOSTILE: {"valid": interval(0.9), "test": interval(0.88)}}
    return classifier_plots.draw_comparison(
        {**scores, "baseline": {"valid": interval(0.8), "test": interval(0.81)}}, 0.95
    )


def loss_curves() -> Figure:
    epochs = [{"epoch": epoch, "train_loss": 1 / epoch, "valid_loss": 1.1 / epoch} for epoch in (1, 2, 3)]
    return plots.draw_loss_curves({HOSTILE: epochs, "lstm": epochs[:1]}, {HOSTILE: 3, "lstm": 1})


def memory() -> Figure:
    curve = {"horizon": 2, "lag": [0, 1, 2, 3], "norm": [1.0, 0.5, 1e-3, 0.0]}
    return plots.draw_memory({HOSTILE: {"layer 1": curve, "layer 2": curve}, "lstm": {"layer 1": curve}})


def slices() -> Figure:
    return classifier_plots.draw_slices(
        [{"by": by, "slice": HOSTILE, "rows": 9, "accuracy": interval(0.8)} for by in ("label", "label", "length")], 0.8
    )


FIGURES: dict[str, Callable[[], Figure]] = {
    "calibration": calibration,
    "comparison": comparison,
    "confusion": lambda: classifier_plots.draw_confusion([[5, 1], [0, 9]], [HOSTILE, "pos"]),
    "confusion_of_many": lambda: classifier_plots.draw_confusion(
        np.eye(20, dtype=int), [f"label {k}" * 9 for k in range(20)]
    ),
    "lengths": lambda: classifier_plots.draw_lengths([(3, 10), (5, 20), (9, 1)], [5, 10]),
    "loss_curves": loss_curves,
    "memory": memory,
    "slices": slices,
}


@pytest.fixture(params=FIGURES)
def draw(request: pytest.FixtureRequest) -> Callable[[], Figure]:
    return FIGURES[request.param]


def test_a_plot_shows_something_in_colour(draw: Callable[[], Figure], tmp_path: Path) -> None:
    pixels = matplotlib.image.imread(plots.write_png(draw(), tmp_path / "plot.png"))[..., :3]
    assert min(pixels.shape[:2]) > 200
    coloured = np.ptp(pixels, axis=2) > 0.2
    assert 0.0005 < coloured.mean() < 0.8
    assert (pixels[0] == 1).all(), "the margin is white"


def test_the_same_figures_give_the_same_bytes(draw: Callable[[], Figure], tmp_path: Path) -> None:
    first, again = (plots.write_png(draw(), tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == again
    assert b"Software" not in first


def test_every_plot_has_a_title_and_named_axes(draw: Callable[[], Figure]) -> None:
    (axes,) = draw().axes
    assert axes.get_title(loc="left")
    assert axes.get_xlabel()


def test_names_from_the_data_are_spelled_out_and_never_read_as_mathematics() -> None:
    (axes,) = slices().axes
    label = axes.get_yticklabels()[0]
    assert label.get_text() == "label: $x^$ \\u202e<b>\\x1b[31m"
    assert not label.get_parse_math()


def test_pyplot_is_left_alone() -> None:
    import subprocess
    import sys

    code = (
        "import sys, tasks.labelled.plots as classifier_plots;"
        "classifier_plots.draw_lengths([(3, 10)], [5]).savefig('/dev/null', format='png');"
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_dashed_line_is_training_and_the_ring_marks_the_best_epoch() -> None:
    (axes,) = loss_curves().axes
    train, valid, ring = axes.get_lines()[:3]
    assert (train.get_linestyle(), valid.get_linestyle()) == ("--", "-")
    assert list(train.get_ydata()) == [1, 1 / 2, 1 / 3]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (3, pytest.approx(1.1 / 3))
