"""Windows of texts to their answers: sorted by length into batches, and batches scored in parallel.

A recurrent step is too small a piece of work to be worth dividing among cores, so each core takes whole batches.
A batch is computed by one thread, so answers do not depend on the number of cores.
"""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
import polars as pl

from tasks.kinds.classify.classifier import TextClassifier
from tasks.kinds.classify.windows import Window
from tasks.labelled.labeller import ReadRows
from tasks.prediction.tally import Answers

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ReadWindow:
    """A window with its texts as the model reads them."""

    window: Window
    reading: ReadRows


def read_window(classifier: TextClassifier, window: Window) -> ReadWindow:
    """Cut a window's texts into ids."""
    return ReadWindow(window=window, reading=classifier.read(window.rows["text"].to_list()))


def answer_window(classifier: TextClassifier, read: ReadWindow, *, model: str, cores: ThreadPoolExecutor) -> Answers:
    """Classify a window; columns row, label, one probability per class, model."""
    probabilities = score_in_batches(classifier, read.reading.sequences, cores)
    rows = read.window.rows
    named = pl.repeat(model, rows.height, dtype=pl.String, eager=True)
    table = pl.DataFrame({"row": rows["line"], **classifier.tabulate(probabilities), "model": named})
    profile = classifier.profile(read.reading, probabilities, rows["label"].replace("", None).to_list())
    window = read.window
    counts = {"rows": rows.height + len(window.faults), "left_out": window.left_out, "blank_lines": window.blank_lines}
    return Answers(table=table, faults=window.faults, counts=counts, profile=profile)


def score_in_batches(
    classifier: TextClassifier, sequences: Sequence[np.ndarray], cores: ThreadPoolExecutor
) -> np.ndarray:
    """Probabilities [n, classes] in the order of the texts."""
    probabilities = np.empty((len(sequences), len(classifier.labels)))
    batches = list(batches_by_length(sequences, classifier.serving.batch_steps))
    scored = cores.map(classifier.score, ([sequences[row] for row in rows] for rows in batches))
    for rows, of_batch in zip(batches, scored, strict=True):
        probabilities[rows] = of_batch
    return probabilities


def batches_by_length(sequences: Sequence[np.ndarray], batch_tokens: int) -> Iterator[np.ndarray]:
    """Yield the positions of texts in batches of similar length and at most `batch_tokens` padded tokens."""
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    pending = np.argsort(-lengths, kind="stable")
    while pending.size:
        num_rows = max(1, batch_tokens // int(lengths[pending[0]]))
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
