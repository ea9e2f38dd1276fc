"""Tokens written per second: rnnflow's carried state beside the loop of tutorials, which reads the prefix again.

Both write the same text: same network with drawn weights, same sampling, same seed, one text at a time.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch

from benchmarks import measure
from rnnmodels.language.generation import choose_token, generate_ids
from rnnmodels.language.language_config import LanguageArchitecture
from rnnmodels.language.language_model import LanguageModel
from rnnmodels.language.sampling import Sampling
from rnnmodels.language.token_streams import BOUNDARY

VERSIONS = ("torch",)
WARM_UP = 20
NEVER = -1e9
EXPLANATION = """\
Median (least to most) over the rounds, in which the two take turns. A carried state makes a token cost one step; \
without it, token number n costs n steps, so the ratio grows with the length of the text."""

Write = Callable[[LanguageModel, Sampling], list[int]]


def write_on(model: LanguageModel, sampling: Sampling) -> list[int]:
    """Carry the state, as rnnflow does."""
    return list(generate_ids(model, [], sampling))


def write_again(model: LanguageModel, sampling: Sampling) -> list[int]:
    """Read all that was written again before each token."""
    generator, ids = torch.Generator().manual_seed(sampling.seed or 0), [BOUNDARY]
    with torch.inference_mode():
        while len(ids) <= sampling.length:
            logits, _ = model.advance(torch.tensor(ids)[:, None])
            ids.append(choose_token(logits[-1, 0], sampling, generator))
    return ids[1:]


def time_text(write: Write, model: LanguageModel, sampling: Sampling) -> tuple[float, list[int]]:
    """Tokens per second of one text, and the text."""
    started_s = time.perf_counter()
    ids = write(model, sampling)
    return len(ids) / (time.perf_counter() - started_s), ids


def draw_model(options: argparse.Namespace) -> LanguageModel:
    """A network that ends no text by itself."""
    architecture = LanguageArchitecture(cell=options.cell, hidden_size=options.hidden_size, num_layers=options.layers)
    model = LanguageModel(architecture, vocabulary_size=options.vocabulary).eval()
    with torch.no_grad():
        model.output_bias[BOUNDARY] = NEVER
    return model


def report(options: argparse.Namespace) -> str:
    """Run the benchmark and lay out its report."""
    torch.set_num_threads(options.threads)
    model, rows = draw_model(options), []
    for length in options.lengths:
        rows += compare(model, length, options.rounds)
    about = f"{options.cell} {options.layers} x {options.hidden_size}, vocabulary of {options.vocabulary}, float32, CPU"
    header = ["text", "carried state, tokens/s", "prefix read again, tokens/s", "ratio", "ratio per round"]
    table = measure.markdown_table(header, rows)
    return "\n\n".join(["# Generation", measure.describe_run(VERSIONS), about, table, EXPLANATION])


def compare(model: LanguageModel, length: int, rounds: int) -> list[Sequence[str]]:
    """Let both write texts of a length in turn, after a warm-up; a row of the report."""
    for write in (write_on, write_again):
        write(model, Sampling(length=WARM_UP, seed=0))
    ours, theirs = [], []
    for seed in range(rounds):
        sampling = Sampling(length=length, seed=seed)
        (on, text), (again, same) = (time_text(write, model, sampling) for write in (write_on, write_again))
        if text != same:
            raise RuntimeError("the contenders wrote different texts")
        ours.append(on)
        theirs.append(again)
    ratios = [on / again for on, again in zip(ours, theirs, strict=True)]
    ratio = f"{median(ours) / median(theirs):.1f}"
    return [[f"{length:,} tokens", measure.spread(ours), measure.spread(theirs), ratio, measure.spread(ratios, 1)]]


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation", description=__doc__)
    parser.add_argument("--lengths", nargs="*", type=int, default=[100, 500], help="tokens of the texts")
    parser.add_argument("--cell", choices=("rnn", "gru", "lstm"), default="lstm", help="recurrent cell")
    parser.add_argument("--hidden-size", type=int, default=512, help="width of the network")
    parser.add_argument("--layers", type=int, default=1, help="layers of the network")
    parser.add_argument("--vocabulary", type=int, default=67, help="tokens of the vocabulary")
    parser.add_argument("--rounds", type=int, default=3, help="texts of each length")
    parser.add_argument("--threads", type=int, default=1, help="threads of both")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args(arguments)


def main() -> None:
    """Run the benchmark and publish its report."""
    options = parse_arguments()
    measure.publish(report(options), options.output)


if __name__ == "__main__":
    main()
