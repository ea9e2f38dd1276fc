"""Logits of rows in shards or of plain sequences, always in float32."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rnnmodels.classifiers.batches import Batch, Ids, Shards, Steps
from rnnmodels.training.evaluation import evaluating


class LogitModel(torch.nn.Module, ABC):
    """A network that maps sequences to logits, as far as it is asked for them."""

    num_classes: int

    @abstractmethod
    def check(self, data: Shards) -> None:
        """Raise ValueError naming the first row that the model cannot read."""

    @abstractmethod
    def check_steps(self, batch: Batch) -> None:
        """Raise ValueError naming the first row whose steps the model cannot read."""


@dataclass(frozen=True)
class Predictions:
    """Logits (rows, classes) with the row ids and targets they belong to, in the order of the shards."""

    row: NDArray[np.uint32]
    target: NDArray[np.uint16]
    logits: NDArray[np.float32]


def predict_shards(model: LogitModel, shards: Shards, *, batch_steps: int) -> Predictions:
    """Score every row of the shards once."""
    model.check(shards)
    batches = list(shards.batches(batch_steps))
    with evaluating(model):
        logits = [score_batch(model, batch) for batch in batches]
    return Predictions(
        row=np.concatenate([np.empty(0, np.uint32), *(batch.row for batch in batches)]),
        target=np.concatenate([np.empty(0, np.uint16), *(batch.target for batch in batches)]),
        logits=np.concatenate([np.empty((0, model.num_classes), np.float32), *logits]),
    )


def predict_sequences(model: LogitModel, sequences: Sequence[Steps], *, batch_steps: int) -> NDArray[np.float32]:
    """Score sequences of at least one step each; returns logits (sequences, classes) in their order.

    A sequence is token ids (steps,) or numbers (steps, channels).
    """
    logits = np.empty((len(sequences), model.num_classes), np.float32)
    with evaluating(model):
        for batch in batches_by_length(sequences, batch_steps):
            model.check_steps(batch)
            logits[batch.row] = score_batch(model, batch)
    return logits


def batches_by_length(sequences: Sequence[Steps], batch_steps: int) -> Iterator[Batch]:
    """Sort sequences by length and pad each batch to its longest; `row` is the position in `sequences`."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    if lengths.size and lengths.min() == 0:
        raise ValueError(f"sequence {lengths.argmin()}: got no steps, expected at least one")
    pending = np.argsort(-lengths, kind="stable")
    while pending.size:
        num_rows = max(1, batch_steps // int(lengths[pending[0]]))
        rows, pending = pending[:num_rows], pending[num_rows:]
        yield pad_sequences([sequences[row] for row in rows], row=rows)


def pad_sequences(sequences: Sequence[Steps], *, row: Ids | None = None, width: int = 0) -> Batch:
    """Right-pad sequences with 0 to the longest, or to `width` where that is wider; targets are 0."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    first = np.asarray(sequences[0])
    kind = np.float32 if np.issubdtype(first.dtype, np.floating) else np.int64
    steps = np.zeros((len(sequences), max(width, int(lengths.max())), *first.shape[1:]), kind)
    for position, sequence in enumerate(sequences):
        steps[position, : len(sequence)] = sequence
    row = np.arange(len(sequences)) if row is None else row
    return Batch(row, steps, lengths, np.zeros(len(sequences), np.uint16))


def score_batch(model: LogitModel, batch: Batch) -> NDArray[np.float32]:
    """Return the logits of one batch."""
    device = next(model.parameters()).device
    return model(to_device(batch.steps, device), to_int64(batch.length, device)).cpu().numpy()


def to_device(steps: Steps, device: torch.device) -> torch.Tensor:
    """Move token ids or numbers to a device, each in the type a model reads."""
    if np.issubdtype(steps.dtype, np.integer):
        return to_int64(steps, device)
    # A copy in memory of torch's own is aligned alike in every run, which numpy's arrays are not.
    return torch.tensor(steps, dtype=torch.float32, device=device)


def to_int64(values: Steps, device: torch.device) -> torch.Tensor:
    """Move ids to a device in the type torch indexes with."""
    return torch.from_numpy(values.astype(np.int64)).to(device, non_blocking=True)
