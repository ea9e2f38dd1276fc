"""Characters trained on per second: rnnflow's carried streams beside the loop of tutorials, and Keras.

Every contender keeps a warm process of its own and trains for some seconds when its turn comes; the first turn of each
is not counted. What the processor does in plain matrix products of the same shapes is measured beside them.
"""

import argparse
import contextlib
from pathlib import Path
from statistics import median

from benchmarks import measure
from benchmarks.language_contenders import CONTENDERS, PRODUCTS, RNNFLOW, Setup

VERSIONS = ("torch", "numpy", "keras", "tensorflow-cpu")
EXPLANATION = """\
Median (least to most) over the rounds, in which the contenders take turns. All train one LSTM on embeddings of 64 \
with a softmax over the characters, by AdamW with clipped gradients, on batches of the same shape in float32. \
`rnnflow` is the product's `fit` on streams whose state is carried; `tutorial-every-step` draws windows from a Dataset \
through a DataLoader, begins each with an empty state and predicts every character of it; `tutorial-last-step` \
predicts what follows a window, as tutorials do that sample from a last state; `keras` is that of every step. A \
character counts once for each time that it is predicted. The share of products is the arithmetic of the three \
recurrent products of a step (two of them backwards), against the speed of `torch.mm` on the same shapes."""


def run_rounds(options: argparse.Namespace, setup: Setup) -> tuple[dict[str, list[float]], list[str]]:
    """Let the contenders work in turn; returns characters per second by round, and who was skipped."""
    names, skipped = measure.split_by_presence({name: one.modules for name, one in CONTENDERS.items()})
    with contextlib.ExitStack() as stack:
        workers = {}
        for name in names:
            arguments = [name, setup.as_json()]
            workers[name] = measure.Worker("benchmarks.language_contenders", arguments, threads=options.threads)
            stack.callback(workers[name].close)
        for worker in workers.values():
            worker.work(options.warm_up_s)
        rounds = [{name: one.work(options.seconds) for name, one in workers.items()} for _ in range(options.rounds)]
    return {name: [figures[name]["chars_per_s"] for figures in rounds] for name in names}, skipped


def contender_table(speeds: dict[str, list[float]]) -> str:
    """One row per contender, with how many times as fast rnnflow is, round by round and by medians."""
    rows = [
        [
            name,
            measure.spread(taken),
            f"{median(speeds[RNNFLOW]) / median(taken):.2f}",
            measure.spread([ours / other for ours, other in zip(speeds[RNNFLOW], taken, strict=True)], 2),
        ]
        for name, taken in speeds.items()
        if name != PRODUCTS
    ]
    return measure.markdown_table(["contender", "characters/s", "rnnflow / it", "the same, per round"], rows)


def share_of_products(speeds: dict[str, list[float]]) -> str:
    """How much of the speed of plain products the product's training reaches."""
    shares = [ours / bound for ours, bound in zip(speeds[RNNFLOW], speeds[PRODUCTS], strict=True)]
    return f"Share of plain products: {measure.spread(shares, 2)}"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language_training", description=__doc__)
    parser.add_argument("text", type=Path, help="a text file, such as that of the recipe shakespeare")
    parser.add_argument("--hidden-size", type=int, default=512, help="width of the LSTM")
    parser.add_argument("--streams", type=int, default=32, help="rows of a batch")
    parser.add_argument("--bptt", type=int, default=64, help="steps of a batch")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=6, help="length of a turn")
    parser.add_argument("--warm-up-s", type=float, default=5, help="length of the first turn, which is not counted")
    parser.add_argument("--threads", type=int, default=2, help="threads of each contender")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and publish its report."""
    options = parse_arguments()
    setup = Setup(str(options.text), options.hidden_size, options.streams, options.bptt)
    speeds, skipped = run_rounds(options, setup)
    told = [measure.describe_run(VERSIONS), *skipped, contender_table(speeds), share_of_products(speeds), EXPLANATION]
    measure.publish("\n\n".join(["# Training of language models", *told]), options.output)


if __name__ == "__main__":
    main()
