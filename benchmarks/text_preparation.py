"""Labelled reviews to encoded ids: seconds and peak memory of rnnflow beside Hugging Face tokenizers + datasets.

Contenders take turns, each in a fresh process; the page cache is warm for all. Then rnnflow alone meets
the same rows two, four and eight times.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import measure
from benchmarks.measure import Sample
from benchmarks.text_contenders import CONTENDERS, RNNFLOW

CHILD = "benchmarks.text_contenders"
RIVALS = tuple(name for name in CONTENDERS if name != RNNFLOW)
MIN_AGREEMENT = 0.999
VERSIONS = ("polars", "tokenizers", "datasets", "pyarrow")


def run_rounds(names: Sequence[str], rows: Path, folder: Path, *, rounds: int, threads: int) -> dict[str, list[Sample]]:
    """Encode the rows with every contender in turn, `rounds` times."""
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            samples[name].append(encode_fresh(name, rows, folder / name, threads=threads))
    return samples


def encode_fresh(name: str, rows: Path, folder: Path, *, threads: int) -> Sample:
    """Run one contender in a fresh process that writes into an emptied folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return measure.run_fresh(CHILD, ["encode", name, str(rows), str(folder)], threads=threads)


def compare_with_rivals(folder: Path, rivals: Sequence[str]) -> dict[str, dict]:
    """Check that each rival made the same tokens; raises RuntimeError if the work was not equal."""
    compared = {}
    for rival in rivals:
        arguments = ["compare", str(folder / RNNFLOW), str(folder / rival)]
        compared[rival] = measure.run_fresh(CHILD, arguments).figures
        if compared[rival]["agreement"] < MIN_AGREEMENT:
            raise RuntimeError(f"{rival} does other work than rnnflow: {compared[rival]}")
    return compared


def measure_scaling(rows: Path, folder: Path, scales: Sequence[int], *, threads: int) -> dict[int, Sample]:
    """Encode the rows many times over, with rnnflow alone."""
    samples = {}
    for copies in scales:
        repeated = folder / "repeated.parquet"
        measure.run_fresh("benchmarks.reviews", ["repeat", str(rows), str(repeated), str(copies)])
        samples[copies] = encode_fresh(RNNFLOW, repeated, folder / "scaled", threads=threads)
    return samples


def contender_table(samples: dict[str, list[Sample]], num_tokens: int) -> str:
    """One row per contender, with what its median costs relative to rnnflow's."""
    work = {name: [sample.figures["work_s"] for sample in taken] for name, taken in samples.items()}
    peak = {name: [sample.peak_mb for sample in taken] for name, taken in samples.items()}
    rows = [
        [
            name,
            measure.spread(work[name], 2),
            measure.spread([sample.process_s for sample in taken], 2),
            f"{num_tokens / median(work[name]) / 1e6:.2f}",
            measure.spread(peak[name]),
            f"{median(work[name]) / median(work[RNNFLOW]):.2f}",
            f"{median(peak[name]) / median(peak[RNNFLOW]):.2f}",
        ]
        for name, taken in samples.items()
    ]
    header = ["contender", "work (s)", "process (s)", "M tokens/s", "peak (MB)", "time / rnnflow", "peak / rnnflow"]
    return measure.markdown_table(header, rows)


def scaling_table(samples: dict[int, Sample]) -> str:
    """One row per size, with the time per copy of the data."""
    rows = [
        [
            f"{copies}x",
            f"{taken.figures['work_s']:.2f}",
            f"{taken.figures['work_s'] / copies:.2f}",
            f"{taken.peak_mb:.0f}",
        ]
        for copies, taken in samples.items()
    ]
    return measure.markdown_table(["data", "work (s)", "work per copy (s)", "peak (MB)"], rows)


def equality_lines(counted: dict, compared: dict[str, dict]) -> str:
    """Say how equal the work was."""
    ours = f"- rnnflow: {counted['num_tokens']:,} tokens, {counted['oov_share']:.2%} outside the vocabulary"
    rivals = [
        f"- {name}: {figures['num_tokens']:,} tokens, {figures['agreement']:.4%} of all encoded as the same word"
        for name, figures in compared.items()
    ]
    return "\n".join([ours, *rivals])


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text_preparation", description=__doc__)
    parser.add_argument("--archive", type=Path, required=True, help="aclImdb archive (.tar.gz), official layout")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contender")
    parser.add_argument(
        "--scales", type=int, nargs="*", default=[1, 2, 4, 8], help="copies of the data for rnnflow alone"
    )
    parser.add_argument("--rivals", nargs="*", choices=RIVALS, default=RIVALS, help="who encodes beside rnnflow")
    parser.add_argument("--threads", type=int, default=2, help="threads of each contender")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and publish its report."""
    options = parse_arguments()
    present, skipped = measure.split_by_presence(
        {name: CONTENDERS[name].modules for name in (RNNFLOW, *options.rivals)}
    )
    run_description = measure.describe_run(VERSIONS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows = folder / "rows.parquet"
        measure.run_fresh("benchmarks.reviews", ["rows", str(options.archive), str(folder), str(rows)])
        samples = run_rounds(present, rows, folder, rounds=options.rounds, threads=options.threads)
        counted = measure.run_fresh(CHILD, ["count", str(folder / RNNFLOW)]).figures
        compared = compare_with_rivals(folder, [name for name in present if name != RNNFLOW])
        scaled = measure_scaling(rows, folder, options.scales, threads=options.threads)
    sections = [
        "# Text preparation",
        run_description,
        *skipped,
        contender_table(samples, counted["num_tokens"]),
        "Median (least to most). `work` starts after the imports and ends when all files are written; `process` is the "
        "whole life of the process. `peak` sums the resident memory of the process tree; pages that several processes "
        "share count in each.",
        equality_lines(counted, compared),
        scaling_table(scaled),
        "Each further copy of a review ends in a word of its own, so the number of distinct tokens grows as well.",
    ]
    measure.publish("\n\n".join(sections), options.output)


if __name__ == "__main__":
    main()
