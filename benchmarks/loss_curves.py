"""One epoch on the CPU and on a GPU, loss by loss: the same seed, the same batches, no dropout.

Each fit runs in a process of its own: `FOLDER DEVICE PRECISION BATCH_TOKENS`.
"""

import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks import measure
from benchmarks.training_contenders import Setup

ARITHMETICS = {"cpu": [("cpu", "float32")], "cuda": [("cpu", "float32"), ("cuda", "float32"), ("cuda", "bfloat16")]}
NUM_EARLY_STEPS = 10
SMOOTHED_STEPS = 20


def record_losses(setup: Setup, precision: str) -> dict:
    """Fit one epoch; returns the loss of every step, and what validation says at the end."""
    from rnnmodels.training import fitting

    fitting.SECONDS_BETWEEN_STEP_RESULTS = 0.0  # a result for every step
    model, training = setup.build_model(), setup.training(precision, epochs=1, schedule="one-cycle")
    *steps, epoch = fitting.fit(model, setup.open_split("train"), setup.open_split("valid"), training)
    return {
        "losses": [result.loss for result in steps],
        "valid_loss": epoch.valid_loss,
        "valid_accuracy": epoch.valid_metrics["accuracy"],
        "rows_per_s": epoch.rows_per_s,
    }


def record_curves(shards: Path, *, device: str, batch_tokens: int, threads: int) -> dict[str, dict]:
    """Fit an epoch in each arithmetic, one after another; the first is the reference."""
    return {
        f"{where} {precision}": measure.run_fresh(
            "benchmarks.loss_curves", [str(shards), where, precision, str(batch_tokens)], threads=threads
        ).figures
        for where, precision in ARITHMETICS[device]
    }


def curve_table(curves: dict[str, dict]) -> str:
    """One row per fit, with how far its losses lie from those of the first fit."""
    reference, *_ = curves.values()
    rows = [
        [
            name,
            f"{largest_difference(curve['losses'][:NUM_EARLY_STEPS], reference['losses']):.1e}",
            f"{largest_difference(smoothed(curve['losses']), smoothed(reference['losses'])):.3f}",
            f"{curve['valid_loss']:.4f}",
            f"{curve['valid_accuracy']:.2%}",
            f"{curve['rows_per_s']:,.0f}",
        ]
        for name, curve in curves.items()
    ]
    early, late = f"difference, first {NUM_EARLY_STEPS} steps", f"difference, means of {SMOOTHED_STEPS} steps"
    return measure.markdown_table(["fit", early, late, "validation loss", "accuracy", "rows/s"], rows)


def largest_difference(losses: Sequence[float], others: Sequence[float]) -> float:
    """The greatest distance between two curves over the steps that both have."""
    return max(abs(loss - other) for loss, other in zip(losses, others, strict=False))


def smoothed(losses: Sequence[float]) -> list[float]:
    """Means of consecutive groups of steps."""
    edges = range(0, len(losses) + SMOOTHED_STEPS, SMOOTHED_STEPS)
    groups = [losses[start:stop] for start, stop in pairwise(edges)]
    return [sum(group) / len(group) for group in groups]


def save_curves(curves: dict[str, dict], output: Path) -> None:
    """Write the losses as JSON and as a plot beside a report."""
    from matplotlib.figure import Figure

    output.parent.mkdir(parents=True, exist_ok=True)
    output.with_suffix(".json").write_text(json.dumps(curves, indent=1), encoding="utf-8")
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel=f"training loss, mean of {SMOOTHED_STEPS} steps")
    for name, curve in curves.items():
        means = smoothed(curve["losses"])
        axes.plot([SMOOTHED_STEPS * (index + 0.5) for index in range(len(means))], means, label=name)
    axes.legend()
    figure.savefig(output.with_suffix(".png"), dpi=150)


def main() -> None:
    """Record the losses of one fit and answer them."""
    folder, device, precision, batch_tokens = sys.argv[1:]
    with measure.answering() as out:
        measure.answer(record_losses(Setup(Path(folder), device, int(batch_tokens)), precision), out)


if __name__ == "__main__":
    main()
