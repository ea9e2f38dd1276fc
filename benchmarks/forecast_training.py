"""Training windows per second: rnnflow's strided windows beside Darts and NeuralForecast.

python -m benchmarks.forecast_training ETTh1.csv --output benchmarks/results/NAME.md

Every contender keeps a warm process of its own and trains for some seconds when its turn comes; the first turn of each
is not counted.
"""

import argparse
import contextlib
from pathlib import Path
from statistics import median

from benchmarks import measure
from benchmarks.forecast_contenders import CONTENDERS, RNNFLOW

VERSIONS = ("torch", "numpy", "darts", "neuralforecast", "pytorch-lightning")
EXPLANATION = """\
Median (least to most) over the rounds. All train one LSTM layer of 128 units that reads 96 steps and forecasts 96 at \
once, 128 windows a step, squared error (NeuralForecast its default, absolute error), on the 8,640 training rows of \
ETTh1. rnnflow and Darts forecast seven channels jointly; NeuralForecast treats channels as series, so each of its \
windows holds one seventh of the numbers. `rnnflow` is the product's `fit` in the arithmetic it chooses here (bfloat16 \
for an LSTM where the processor multiplies it), `rnnflow-float32` the same in the rivals' arithmetic. Seconds \
count from a turn's first step to its last, so a rival's start is left out; \
ours validates on a few windows per epoch."""


def run_rounds(options: argparse.Namespace, names: list[str]) -> dict[str, list[dict]]:
    """Let the contenders train in turn, `rounds` times after a warm-up."""
    with contextlib.ExitStack() as stack:
        workers = {}
        for name in names:
            arguments = [name, str(options.file.resolve())]
            worker = measure.Worker("benchmarks.forecast_contenders", arguments, threads=options.threads)
            workers[name] = worker
            stack.callback(worker.close)
        for worker in workers.values():
            worker.work(options.warm_up_s)
        rounds = [{name: one.work(options.seconds) for name, one in workers.items()} for _ in range(options.rounds)]
    return {name: [figures[name] for figures in rounds] for name in names}


def contender_table(figures: dict[str, list[dict]]) -> str:
    """One row per contender, with how many times as fast rnnflow is, round by round and by medians."""
    speeds = {name: [taken["windows_per_s"] for taken in rounds] for name, rounds in figures.items()}
    rows = [
        [
            name,
            measure.spread(speeds[name]),
            f"{median(speeds[RNNFLOW]) / median(speeds[name]):.2f}",
            measure.spread([ours / other for ours, other in zip(speeds[RNNFLOW], speeds[name], strict=True)], 2),
            f"{max(taken['own_peak_mb'] for taken in rounds):.0f}",
        ]
        for name, rounds in figures.items()
    ]
    return measure.markdown_table(["contender", "windows/s", "rnnflow / it", "the same, per round", "peak (MB)"], rows)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast_training", description=__doc__)
    parser.add_argument("file", type=Path, help="ETTh1.csv")
    parser.add_argument("--rounds", type=int, default=4, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=8, help="length of a turn")
    parser.add_argument("--warm-up-s", type=float, default=5, help="length of the first turn, which is not counted")
    parser.add_argument("--threads", type=int, default=2, help="threads of each contender")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and publish its report."""
    options = parse_arguments()
    present, skipped = measure.split_by_presence({name: one.modules for name, one in CONTENDERS.items()})
    table = contender_table(run_rounds(options, present))
    measure.publish(
        "\n\n".join(["# Training forecasters", measure.describe_run(VERSIONS), *skipped, table, EXPLANATION]),
        options.output,
    )


if __name__ == "__main__":
    main()
