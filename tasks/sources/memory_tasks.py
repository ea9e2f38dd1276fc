"""Sequences that are made, not read: to label one, a model must remember what it saw a known number of steps ago.

`adding`: two of the numbers are marked; is their sum above 1? Of the first, `lag` steps before the end, nothing is left
to see later. Who guesses is right in 50 % of the cases, who remembers the second alone in 75 %. Hochreiter and
Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735, as a question with two answers.
`copy`: a symbol comes at each step; which one came with the cue, `lag` steps before the end? Guessing is right in 25 %.
Sequences begin with a few steps that do not matter, so that the first step says nothing.
Shapes: N sequences, T steps, C channels.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rnnmodels.durable import write_durably
from tasks.sources.settings import MEMORY_CHANNELS, MemoryTask
from tasks.store import fingerprint

LEAD_IN = 10  # steps before the one to remember
SYMBOLS = "abcd"


@dataclass(frozen=True)
class Made:
    """Channels of all sequences (N, T, C) and their labels (N)."""

    values: NDArray[np.float64]
    labels: NDArray[np.str_]


def write_task(settings: MemoryTask, folder: Path) -> Path:
    """Return the path in `folder` of the sequences that the settings describe, made unless they are there.

    A table of one row per sequence and step, in Parquet. The name holds all that the rows are a function of.
    """
    code = fingerprint.code_digest(__name__)[:12]
    path = folder / f"{settings.dataset}-lag{settings.lag}-of{settings.sequences}-seed{settings.seed}-{code}.parquet"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        made = TASKS[settings.dataset](settings, np.random.default_rng(settings.seed))
        table = lay_out(made, MEMORY_CHANNELS[settings.dataset])
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        write_durably(path, buffer.getvalue())
    return path


def make_adding(settings: MemoryTask, random: np.random.Generator, lead_in: int = LEAD_IN) -> Made:
    """Numbers between 0 and 1 with their markers; the second marked one is anywhere after the first but not last."""
    number_NT = random.random((settings.sequences, lead_in + settings.lag + 1)).round(4)
    marker_NT = np.zeros_like(number_NT)
    marker_NT[:, lead_in] = 1
    np.put_along_axis(marker_NT, lead_in + random.integers(1, settings.lag, (settings.sequences, 1)), 1, axis=1)
    is_above = (number_NT * marker_NT).sum(axis=1) > 1
    return Made(np.stack([number_NT, marker_NT], axis=-1), np.where(is_above, "above 1", "up to 1"))


def make_copy(settings: MemoryTask, random: np.random.Generator, lead_in: int = LEAD_IN) -> Made:
    """Symbols, one channel each, and a cue at one of them."""
    symbol_NT = random.integers(0, len(SYMBOLS), (settings.sequences, lead_in + settings.lag + 1))
    cue_NT1 = np.zeros((*symbol_NT.shape, 1))
    cue_NT1[:, lead_in] = 1
    labels = np.array(list(SYMBOLS))[symbol_NT[:, lead_in]]
    return Made(np.concatenate([np.eye(len(SYMBOLS))[symbol_NT], cue_NT1], axis=-1), labels)


TASKS: dict[str, Callable[..., Made]] = {"adding": make_adding, "copy": make_copy}


def lay_out(made: Made, channels: tuple[str, ...]) -> pl.DataFrame:
    """A table with a row per sequence and step: columns sequence, step, label, and one per channel."""
    num_sequences, num_steps, _ = made.values.shape
    columns = {
        "sequence": np.repeat(np.arange(num_sequences), num_steps),
        "step": np.tile(np.arange(num_steps), num_sequences),
        "label": np.repeat(made.labels, num_steps),
    }
    numbers = made.values.reshape(-1, len(channels)).T
    return pl.DataFrame(columns | dict(zip(channels, numbers, strict=True)))
