"""The command that writes texts with a registered language model."""

import itertools
import sys
from collections.abc import Iterator
from typing import Any

import click

from flows.commands.base import Command, as_json_option, print_json
from tasks.errors import InputError, printable

STDIN = "-"


@click.command(cls=Command)
@click.argument("model")
@click.option("--prompt", default="", metavar="TEXT", help="Text to continue; - reads it from standard input.")
@click.option("--length", type=click.IntRange(1), help="Tokens to write at most, by default 200.")
@click.option(
    "--temperature",
    type=click.FloatRange(0, 100),
    help="1 samples from the model's distribution, less is more conservative, 0 takes the likeliest token. "
    "By default 0.8.",
)
@click.option("--top-k", type=click.IntRange(0), help="Sample from the K likeliest tokens; by default from all.")
@click.option(
    "--top-p",
    type=click.FloatRange(0, 1, min_open=True),
    help="Sample from the likeliest tokens that together have probability P; by default from all.",
)
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same text; by default a new one.")
@as_json_option
def generate(model: str, prompt: str, as_json: bool, **sampling: Any) -> None:  # noqa: ANN401 (the options above)
    """Continue a text with a language model. MODEL is NAME, NAME@alias or NAME/3.

    The text is printed as it is generated, after the prompt; without --seed, the seed that was used goes to stderr.
    """
    from flows.commands.failures import stopping_on_sigterm
    from tasks.prediction.dispatch import begin_text

    text = read_standard_input() if prompt == STDIN else prompt
    given = {name: value for name, value in sampling.items() if value is not None}
    with stopping_on_sigterm():
        written = begin_text(model, text, **given)
        if as_json:
            print_json({"model": model, "prompt": text, "text": "".join(written.pieces), "seed": written.seed})
            return
        for piece in shown_pieces(text, written.pieces, on_terminal=sys.stdout.isatty()):
            click.echo(piece, nl=False)
        click.echo()
    if "seed" not in given:
        click.echo(f"--seed {written.seed} writes this text again.", err=True)


def read_standard_input() -> str:
    """The prompt that is piped in, without the line end after it.

    Raises InputError (E-TEXT-001) if it is not UTF-8.
    """
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise InputError(
            "E-TEXT-001", f"the prompt is not UTF-8 (at byte {error.start}).", fix="convert it to UTF-8."
        ) from None


def shown_pieces(prompt: str, pieces: Iterator[str], *, on_terminal: bool) -> Iterator[str]:
    """The prompt and what follows it; on a terminal, characters that could act on it are escaped."""
    for piece in itertools.chain([prompt], pieces):
        yield _harmless(piece) if on_terminal else piece


def _harmless(text: str) -> str:
    return "".join(char if char in "\n\t" else printable(char) for char in text)
