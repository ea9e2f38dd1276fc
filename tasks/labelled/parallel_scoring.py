"""Sequences scored in parallel: sorted by length into batches, each of which one core takes.

A recurrent step is too small a piece of work to be worth dividing among cores, so each core takes whole batches.
A batch is computed by one thread, so answers do not depend on the number of cores.
"""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from tasks.labelled.labeller import Labeller, ReadRows

T = TypeVar("T")


def score_in_batches(labeller: Labeller[Any], read: ReadRows, cores: ThreadPoolExecutor) -> np.ndarray:
    """Probabilities [n, classes] in the order of the rows."""
    probabilities = np.empty((len(read), len(labeller.labels)))
    batches = list(batches_by_length(read.sequences, labeller.serving.batch_steps))
    scored = cores.map(labeller.score, map(read.pick, batches))
    for rows, of_batch in zip(batches, scored, strict=True):
        probabilities[rows] = of_batch
    return probabilities


def batches_by_length(sequences: Sequence[np.ndarray], batch_steps: int) -> Iterator[np.ndarray]:
    """Yield the positions of sequences in batches of similar length and at most `batch_steps` padded steps."""
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    pending = np.argsort(-lengths, kind="stable")
    while pending.size:
        num_rows = max(1, batch_steps // int(lengths[pending[0]]))
        yield pending[:num_rows]
        pending = pending[num_rows:]


@contextlib.contextmanager
def one_thread_per_batch() -> Generator[ThreadPoolExecutor]:
    """Lend a thread per core that torch may use (OMP_NUM_THREADS), in each of which torch works alone."""
    import torch

    from rnnmodels.training.device import use_physical_cores

    before = torch.get_num_threads()
    use_physical_cores()
    num_cores = torch.get_num_threads()
    cores = ThreadPoolExecutor(num_cores, initializer=partial(torch.set_num_threads, 1))
    try:
        yield cores
    finally:
        cores.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def prefetched(items: Iterator[T]) -> Iterator[T]:
    """Make the next item in a thread while the one before is used."""

    def take_one() -> list[T]:
        return list(islice(items, 1))

    with ThreadPoolExecutor(1) as thread:
        ahead = thread.submit(take_one)
        while one := ahead.result():
            ahead = thread.submit(take_one)
            yield from one
