"""Beside each batch of labelled rows one of rows without a label, for losses that need no class."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from rnnmodels.classifiers.batches import Batch, Shards


@dataclass(frozen=True)
class PairedBatch(Batch):
    """Labelled rows, and as many padded steps of rows without a label."""

    unlabelled: Batch


@dataclass(frozen=True)
class PairedShards(Shards):
    """Labelled rows to train on, in `blocks`; `paths` are the files of both.

    An epoch ends with the labelled rows. The others are read on from epoch to epoch, as often as it takes.
    """

    unlabelled: Shards

    @classmethod
    def of(cls, labelled: Shards, unlabelled: Shards) -> "PairedShards":
        """Pair two sets of shards."""
        return cls((*labelled.paths, *unlabelled.paths), labelled.blocks, unlabelled)

    def batches(self, batch_size: int, *, seed: int | None = None, epoch: int = 0) -> Iterator[Batch]:
        """Yield every labelled row once, each batch with its partner; without a seed, as for measuring, alone."""
        labelled = super().batches(batch_size, seed=seed, epoch=epoch)
        if seed is None:
            yield from labelled
            return
        num_before = max(epoch - 1, 0) * self.num_batches(batch_size)
        for one, other in zip(labelled, self._read_on(batch_size, seed, num_before), strict=False):
            yield PairedBatch(one.row, one.steps, one.length, one.target, unlabelled=other)

    def check_ids(self, *, vocabulary_size: int, num_classes: int) -> None:
        """Raise ValueError naming the first row a model of these sizes cannot read."""
        super().check_ids(vocabulary_size=vocabulary_size, num_classes=num_classes)
        self.unlabelled.check_ids(vocabulary_size=vocabulary_size, num_classes=num_classes)

    def _read_on(self, batch_size: int, seed: int, num_before: int) -> Iterator[Batch]:
        """Yield batches of rows without a label for ever, after as many as were read before."""
        num_rounds, num_skipped = divmod(num_before, self.unlabelled.num_batches(batch_size))
        rounds = (
            self.unlabelled.batches(batch_size, seed=seed, epoch=number) for number in itertools.count(num_rounds)
        )
        return itertools.islice(itertools.chain.from_iterable(rounds), num_skipped, None)
