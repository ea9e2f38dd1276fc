"""How far gradients reach back in time: the pictures and the tables of `docs/gradients.md`.

`python -m benchmarks.gradient_reach docs/pictures` measures cells at their start, which takes seconds, and models that
were trained on the adding task, which takes minutes; `--start-only` leaves these out.
Shapes: T steps, N rows, F input features, U hidden units.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from benchmarks.measure import markdown_table
from rnnmodels.classifiers.batches import Batch, Shards
from rnnmodels.classifiers.series_classifier import SeriesClassifier
from rnnmodels.classifiers.series_config import SeriesArchitecture, SeriesTraining
from rnnmodels.config import RecurrentArchitecture
from rnnmodels.layers.cells import build_cell
from rnnmodels.layers.row_parallel import run_cell
from rnnmodels.memory.horizon import MemoryCurve, measure_curves, measure_memory
from rnnmodels.memory.probe import Probe
from rnnmodels.training.fitting import fit
from rnnmodels.training.results import EpochResult
from tasks.kinds.classify_series.source import SequenceSource
from tasks.reporting.plots import DASHES, PALETTE, add_legend, new_axes, write_png
from tasks.sources.memory_tasks import LEAD_IN, TASKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUM_STEPS, NUM_ROWS, NUM_FEATURES, NUM_UNITS = 301, 8, 2, 64
INPUT_SCALE = 0.1  # small enough that tanh is nearly straight
SEEDS = (1, 2, 3)
SHOWN_LAGS = (10, 100, 300)
CELLS = {"rnn": "tanh RNN", "gru": "GRU", "lstm": "LSTM"}
STARTS = {"torch's default": ":", "rnnflow": "-", "rnnflow, longest_lag = 300": "--"}
RATE = 0.1
SCALES = (0.5, 0.9, 1.0, 1.1, 1.5)
LAGS = (10, 30, 100)


def start_cell(name: str, start: str, seed: int) -> nn.RNNBase:
    """A cell in double precision, as torch or we would start to train it."""
    torch.manual_seed(seed)
    longest_lag = 300 if "longest_lag" in start else 0
    architecture = RecurrentArchitecture(cell=name, hidden_size=NUM_UNITS, longest_lag=longest_lag)
    cell = build_cell(architecture, NUM_FEATURES)
    if start not in [*STARTS][1:]:
        cell.reset_parameters()
    return cell.double()


def measure_cell(cell: nn.RNNBase, num_steps: int = NUM_STEPS) -> MemoryCurve:
    """The gradient in a cell's states where a loss looks at the last one alone, for random inputs."""
    x_TNF = INPUT_SCALE * torch.randn(num_steps, NUM_ROWS, NUM_FEATURES, dtype=torch.float64)
    weight_U = torch.randn(NUM_UNITS, dtype=torch.float64)
    probe = Probe(
        {"cell": cell}, torch.full((NUM_ROWS,), num_steps), lambda: run_cell(cell, x_TNF)[0][-1].matmul(weight_U).sum()
    )
    return measure_curves(probe)["cell"]


def measure_starts(num_steps: int = NUM_STEPS) -> dict[tuple[str, str], np.ndarray]:
    """Gradient norms by lag of each cell and each way to start it, the median of three seeds."""
    return {
        (name, start): np.median(
            [measure_cell(start_cell(name, start, seed), num_steps).norm for seed in SEEDS], axis=0
        )
        for name in CELLS
        for start in STARTS
        if not ("longest_lag" in start and name == "rnn")
    }


def draw_starts(starts: Mapping[tuple[str, str], np.ndarray]) -> "Figure":
    """Vanishing: one colour per cell, one way to dash per start."""
    figure, axes = new_axes("Gradient that reaches back, before training")
    for (name, start), norm in starts.items():
        colour = PALETTE[[*CELLS].index(name)]
        axes.plot(norm, color=colour, linestyle=STARTS[start], linewidth=1.6, label=f"{CELLS[name]}, {start}")
    axes.set_yscale("log")
    axes.set(xlabel="steps before the end", ylabel="|dL/d state|, 1 at the end", ylim=(1e-25, 30))
    add_legend(axes)
    return figure


def start_table(starts: Mapping[tuple[str, str], np.ndarray]) -> str:
    """The same at a few lags."""
    lags = [lag for lag in SHOWN_LAGS if lag < min(map(len, starts.values()))]
    rows = [[CELLS[name], start, *(f"{norm[lag]:.0e}" for lag in lags)] for (name, start), norm in starts.items()]
    return markdown_table(["cell", "start", *(f"{lag} steps back" for lag in lags)], rows)


def measure_scales(num_steps: int = 101) -> dict[float, np.ndarray]:
    """Gradient norms by lag of a tanh RNN whose orthogonal recurrent matrix is scaled."""
    measured = {}
    for scale in SCALES:
        cell = start_cell("rnn", "rnnflow", 1)
        with torch.no_grad():
            cell.all_weights[0][1].mul_(scale)
        measured[scale] = measure_cell(cell, num_steps).norm
    return measured


def draw_scales(scales: Mapping[float, np.ndarray]) -> "Figure":
    """Vanishing and exploding by the size of the recurrent matrix."""
    figure, axes = new_axes("Gradient in a tanh RNN with a recurrent matrix s · Q, Q orthogonal")
    for colour, (scale, norm) in zip(PALETTE, scales.items(), strict=False):
        axes.plot(norm, color=colour, linewidth=1.6, label=f"s = {scale:g}")
    axes.set_yscale("log")
    axes.set(xlabel="steps before the end", ylabel="|dL/d state|, 1 at the end", ylim=(1e-12, None))
    add_legend(axes)
    return figure


def make_rows(task: str, lag: int, num_sequences: int, *, lead_in: int = LEAD_IN, seed: int = 1) -> Shards:
    """Sequences of a task, scaled as the stage `encode` would."""
    source = SequenceSource.model_validate({"dataset": task, "lag": lag, "sequences": num_sequences})
    made = TASKS[task](source, np.random.default_rng(seed), lead_in)
    flat = made.values.reshape(-1, made.values.shape[-1])
    values = ((made.values - flat.mean(axis=0)) / flat.std(axis=0)).astype(np.float32)
    target = np.unique(made.labels, return_inverse=True)[1].astype(np.uint16)
    row, length = np.arange(num_sequences), np.full(num_sequences, values.shape[1])
    return Shards((), (Batch(row, values, length, target),))


def plain_architecture(cell: str, **settings: object) -> SeriesArchitecture:
    """A classifier that reads its last state alone, without noise."""
    noise = {"input_noise": 0, "locked_dropout": 0, "head_dropout": 0}
    return SeriesArchitecture.model_validate({"cell": cell, "hidden_size": 32, "pooling": "last", **noise, **settings})


def descend(scale: float, clip_norm: float, num_updates: int = 100) -> list[float]:
    """Losses of plain gradient descent on a ReLU RNN whose recurrent matrix is a multiple of the identity."""
    model = SeriesClassifier(plain_architecture("rnn", nonlinearity="relu"), num_channels=5, num_classes=4)
    with torch.no_grad():
        recurrent_UU = model.encoder.named_cells()["layer 1"].all_weights[0][1]
        recurrent_UU.copy_(scale * torch.eye(len(recurrent_UU)))
    losses = []
    for batch in make_rows("copy", 10, 32 * num_updates, lead_in=20).batches(32 * 31):
        model.zero_grad()
        loss = model.loss(batch, SeriesTraining())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        with torch.no_grad():
            for weight in model.parameters():
                weight.sub_(RATE * weight.grad)
        losses.append(loss.item())
    return losses


def measure_clipping() -> dict[tuple[float, float], list[float]]:
    """Losses by update, with and without clipping, of a start that explodes a little and of one that does more."""
    return {(scale, clip): descend(scale, clip) for scale in (1.0, 1.05) for clip in (1.0, math.inf)}


def draw_clipping(losses: Mapping[tuple[float, float], Sequence[float]]) -> "Figure":
    """What clipping does where gradients explode."""
    figure, axes = new_axes("Gradient descent on a ReLU RNN that starts at s · identity")
    for (scale, clip), course in losses.items():
        is_clipped = math.isfinite(clip)
        label = f"s = {scale:g}, {'clipped to norm 1' if is_clipped else 'not clipped'}"
        colour, dashes = PALETTE[[*dict.fromkeys(one for one, _ in losses)].index(scale)], "-" if is_clipped else "--"
        axes.plot(course, color=colour, linestyle=dashes, linewidth=1.4, label=label)
    axes.set_yscale("log")
    axes.set(xlabel="update", ylabel="loss", ylim=(0.2, 1e4))
    add_legend(axes)
    return figure


@dataclass(frozen=True)
class Trial:
    """A cell to train on the adding task, and where in a sequence the first number stands."""

    cell: str
    lag: int
    lead_in: int = LEAD_IN
    longest_lag: int = 100

    @property
    def length(self) -> int:
        """Steps of a sequence."""
        return self.lead_in + self.lag + 1


@dataclass(frozen=True)
class Outcome:
    """The validation accuracy of a trained model, and how far back it remembers."""

    trial: Trial
    accuracy: float
    curve: MemoryCurve


def run_trial(trial: Trial, *, epochs: int = 6, num_sequences: int = 2_000) -> Outcome:
    """Train as the recipe `adding` does."""
    train, valid = (
        make_rows("adding", trial.lag, rows, lead_in=trial.lead_in, seed=seed)
        for rows, seed in ((num_sequences, 1), (500, 2))
    )
    settings = {"epochs": epochs, "learning_rate": 1e-2, "patience": epochs, "batch_steps": 32 * trial.length}
    training = SeriesTraining.model_validate(settings)
    architecture = plain_architecture(trial.cell, longest_lag=trial.longest_lag)
    model = SeriesClassifier(architecture, num_channels=2, num_classes=2)
    results = [result for result in fit(model, train, valid, training) if isinstance(result, EpochResult)]
    accuracy = min(results, key=lambda result: result.valid_loss).valid_metrics["accuracy"]
    return Outcome(trial, accuracy, measure_memory(model, valid, training)["layer 1"])


def draw_trained(outcomes: Sequence[Outcome]) -> "Figure":
    """Memory of trained models: one colour per cell, one way to dash per lag."""
    figure, axes = new_axes("Gradient in the state of models trained on the adding task")
    for outcome in outcomes:
        trial, curve = outcome.trial, outcome.curve
        colour, dashes = PALETTE[[*CELLS].index(trial.cell)], DASHES[LAGS.index(trial.lag)]
        label = f"{CELLS[trial.cell]}, lag {trial.lag}: {outcome.accuracy:.0%} right"
        axes.plot(curve.lag, np.maximum(curve.norm, 1e-6), color=colour, linestyle=dashes, linewidth=1.4, label=label)
        at_horizon = curve.norm[curve.lag == curve.horizon]
        axes.plot([curve.horizon], at_horizon, "o", markersize=6, markerfacecolor="white", color=colour)
    axes.set_yscale("log")
    axes.set(xlabel="steps before the end", ylabel="|dL/d state|, 1 at the end")
    add_legend(axes)
    return figure


def trained_table(outcomes: Sequence[Outcome]) -> str:
    """Accuracy and effective horizon of each trial."""
    header = ["cell", "longest_lag", "lag", "steps of a sequence", "right", "effective horizon"]
    rows = [
        [
            CELLS[one.trial.cell],
            str(one.trial.longest_lag),
            str(one.trial.lag),
            str(one.trial.length),
            f"{one.accuracy:.0%}",
            str(one.curve.horizon),
        ]
        for one in outcomes
    ]
    return markdown_table(header, rows)


TRIALS = [Trial(cell, lag, longest_lag=0 if cell == "rnn" else 100) for cell in CELLS for lag in LAGS]
# The same number of steps whatever the lag, and cells that do not start with a long memory.
EQUALLY_LONG = [Trial(cell, lag, lead_in=110 - lag, longest_lag=0) for cell in ("gru", "lstm") for lag in LAGS[:2]]


def main() -> None:
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--start-only", action="store_true", help="train no models")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    starts = measure_starts()
    print(start_table(starts))
    figures = {
        "gradients-start": draw_starts(starts),
        "gradients-scale": draw_scales(measure_scales()),
        "gradients-clipping": draw_clipping(measure_clipping()),
    }
    if not options.start_only:
        outcomes = [run_trial(trial) for trial in TRIALS]
        print(trained_table(outcomes + [run_trial(trial, epochs=8) for trial in EQUALLY_LONG]))
        figures["gradients-trained"] = draw_trained(outcomes)
    for name, figure in figures.items():
        write_png(figure, options.folder / f"{name}.png")


if __name__ == "__main__":
    main()
