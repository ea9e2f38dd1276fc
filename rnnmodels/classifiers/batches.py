"""Batches from shards: each is a gather from one record batch of a memory-mapped Arrow file.

A shard holds the rows of one split whose lengths fit one bucket width, right-padded with 0. A step of a row is a token
(column `tokens`) or a number per channel (column `values`).
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rnnmodels.durable import sha256_of_file

Ids = NDArray[np.integer]
Steps = NDArray[np.integer | np.float32]  # token ids (rows, width) or numbers (rows, width, channels)


@dataclass(frozen=True)
class Batch:
    """Rows of one bucket: `row` ids, `steps`, `length` and `target`."""

    row: Ids
    steps: Steps
    length: Ids
    target: Ids

    def take(self, positions: NDArray[np.intp] | slice) -> "Batch":
        """Select rows; a slice copies nothing."""
        return Batch(self.row[positions], self.steps[positions], self.length[positions], self.target[positions])


@dataclass(frozen=True)
class Shards:
    """The rows of one split: `blocks` are views of the files' record batches."""

    paths: tuple[Path, ...]
    blocks: tuple[Batch, ...]

    @property
    def num_rows(self) -> int:
        """Rows in all shards."""
        return sum(len(block.row) for block in self.blocks)

    @property
    def place(self) -> str:
        """The shards' files, for messages."""
        return ", ".join(map(str, self.paths)) or "no shards"

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the files' contents, in hexadecimal."""
        digests = [sha256_of_file(path) for path in self.paths]
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def batches(self, batch_size: int, *, seed: int | None = None, epoch: int = 0) -> Iterator[Batch]:
        """Yield every row once, in batches of one width and at most `batch_size` padded steps.

        Rows and batches are shuffled as a function of (seed, epoch); without a seed the order is that of the files.
        """
        if seed is None:
            yield from (self.blocks[block].take(rows) for block, rows in self._slices(batch_size))
            return
        generator = np.random.default_rng([seed, epoch])
        orders = [generator.permutation(len(block.row)) for block in self.blocks]
        plan = self._slices(batch_size)
        for position in generator.permutation(len(plan)):
            block, rows = plan[position]
            yield self.blocks[block].take(orders[block][rows])

    def num_batches(self, batch_size: int) -> int:
        """Batches per epoch."""
        return len(self._slices(batch_size))

    def check_ids(self, *, vocabulary_size: int, num_classes: int) -> None:
        """Raise ValueError naming the first row a model of these sizes cannot read."""
        for block in self.blocks:
            check_tokens(block.steps, block.row, vocabulary_size)
        self._check_rows(num_classes)

    def check_values(self, *, num_channels: int, num_classes: int) -> None:
        """Raise ValueError naming the first row a model of these sizes cannot read."""
        for block in self.blocks:
            check_values(block.steps, block.row, num_channels)
        self._check_rows(num_classes)

    def _check_rows(self, num_classes: int) -> None:
        for block in self.blocks:
            _check_range(block.length, block.row, 1, block.steps.shape[1], "length")
            _check_range(block.target, block.row, 0, num_classes - 1, "class")

    def _slices(self, batch_steps: int) -> list[tuple[int, slice]]:
        """Cut each block into batches of nearly equal size, so that no batch is a small remainder."""
        slices = []
        for index, block in enumerate(self.blocks):
            num_rows, width = block.steps.shape[:2]
            num_batches = -(-num_rows // max(1, batch_steps // width))
            edges = [num_rows * i // num_batches for i in range(num_batches + 1)] if num_rows else []
            slices += [(index, slice(start, stop)) for start, stop in itertools.pairwise(edges)]
        return slices


def open_shards(paths: Sequence[Path]) -> Shards:
    """Memory-map shard files; nothing is read until a batch is taken."""
    blocks = [block for path in paths for block in _map_blocks(path)]
    return Shards(tuple(paths), tuple(blocks))


def check_tokens(tokens: Steps, row: Ids, vocabulary_size: int) -> None:
    """Raise ValueError naming the first row with a token id outside the vocabulary."""
    _check_range(tokens, row, 0, vocabulary_size - 1, "token id")


def check_values(values: Steps, row: Ids, num_channels: int) -> None:
    """Raise ValueError naming the first row with another number of channels, or a number that is not finite."""
    if values.ndim != 3 or values.shape[2] != num_channels:  # noqa: PLR2004 (rows, width, channels)
        found = values.shape[2] if values.ndim == 3 else 0  # noqa: PLR2004
        raise ValueError(f"row {row[0]}: got {found} channels, expected {num_channels}")
    if not np.isfinite(values).all():
        position = tuple(np.argwhere(~np.isfinite(values))[0])
        raise ValueError(f"row {row[position[0]]}: got value {values[position]}, expected a finite number")


def _map_blocks(path: Path) -> Iterator[Batch]:
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    for index in range(reader.num_record_batches):
        columns = reader.get_batch(index)
        steps = _map_steps(columns["values" if "values" in columns.schema.names else "tokens"])
        yield Batch(columns["row"].to_numpy(), steps, columns["length"].to_numpy(), columns["target"].to_numpy())


def _map_steps(column: pa.FixedSizeListArray) -> Steps:
    """View lists of fixed sizes, nested or not, as a matrix with an axis per level."""
    sizes = []
    while pa.types.is_fixed_size_list(column.type):
        sizes.append(column.type.list_size)
        column = column.flatten()
    return column.to_numpy(zero_copy_only=True).reshape(-1, *sizes)


def _check_range(values: Steps, row: Ids, low: int, high: int, what: str) -> None:
    if values.size == 0 or (values.min() >= low and values.max() <= high):
        return
    position = tuple(np.argwhere((values < low) | (values > high))[0])
    raise ValueError(f"row {row[position[0]]}: got {what} {values[position]}, expected {low} to {high}")
