"""A prompt to a text by a registered language model: what `rnnflow generate` does."""

import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.kinds.language.served_language_model import ServedLanguageModel


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A text that is being written, and the seed that writes it again."""

    seed: int
    pieces: Iterator[str]


def begin_text(parts: Path, prompt: str, /, *, seed: int | None = None, **sampling: Any) -> Generation:  # noqa: ANN401 (as `Sampling` has them)
    """Begin to write what follows a prompt; without a seed, one is drawn.

    Raises InputError (E-GEN-001, E-GEN-002, E-GEN-003, E-TEXT-001) and IntegrityError (E-INT-001).
    """
    drawn = secrets.randbits(31) if seed is None else seed
    pieces = ServedLanguageModel.load(parts).generate(prompt, **sampling, seed=drawn)
    return Generation(seed=drawn, pieces=itertools.chain([next(pieces, "")], pieces))
