"""Batches from shards: each is a gather from one record batch of a memory-mapped Arrow file.

A shard holds the rows of one split whose lengths fit one bucket width, right-padded with 0.
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


@dataclass(frozen=True)
class Batch:
    """Rows of one bucket: `row` ids, `tokens` (rows, width), `length` and `target`."""

    row: NDArray[np.unsignedinteger]
    tokens: NDArray[np.unsignedinteger]
    length: NDArray[np.unsignedinteger]
    target: NDArray[np.unsignedinteger]

    def take(self, positions: NDArray[np.intp] | slice) -> "Batch":
        """Select rows; a slice copies nothing."""
        return Batch(self.row[positions], self.tokens[positions], self.length[positions], self.target[positions])


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
        """Yield every row once, in batches of one width and at most `batch_size` padded tokens.

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
            check_tokens(block.tokens, block.row, vocabulary_size)
            _check_range(block.length, block.row, 1, block.tokens.shape[1], "length")
            _check_range(block.target, block.row, 0, num_classes - 1, "class")

    def _slices(self, batch_tokens: int) -> list[tuple[int, slice]]:
        """Cut each block into batches of nearly equal size, so that no batch is a small remainder."""
        slices = []
        for index, block in enumerate(self.blocks):
            num_rows, width = block.tokens.shape
            num_batches = -(-num_rows // max(1, batch_tokens // width))
            edges = [num_rows * i // num_batches for i in range(num_batches + 1)] if num_rows else []
            slices += [(index, slice(start, stop)) for start, stop in itertools.pairwise(edges)]
        return slices


def open_shards(paths: Sequence[Path]) -> Shards:
    """Memory-map shard files; nothing is read until a batch is taken."""
    blocks = [block for path in paths for block in _map_blocks(path)]
    return Shards(tuple(paths), tuple(blocks))


def check_tokens(tokens: NDArray[np.unsignedinteger], row: NDArray[np.unsignedinteger], vocabulary_size: int) -> None:
    """Raise ValueError naming the first row with a token id outside the vocabulary."""
    _check_range(tokens, row, 0, vocabulary_size - 1, "token id")


def _map_blocks(path: Path) -> Iterator[Batch]:
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    for index in range(reader.num_record_batches):
        columns = reader.get_batch(index)
        width = columns.schema.field("tokens").type.list_size
        tokens = columns["tokens"].flatten().to_numpy(zero_copy_only=True).reshape(-1, width)
        yield Batch(columns["row"].to_numpy(), tokens, columns["length"].to_numpy(), columns["target"].to_numpy())


def _check_range(values: NDArray, row: NDArray, low: int, high: int, what: str) -> None:
    if values.size == 0 or (values.min() >= low and values.max() <= high):
        return
    position = tuple(np.argwhere((values < low) | (values > high))[0])
    raise ValueError(f"row {row[position[0]]}: got {what} {values[position]}, expected {low} to {high}")
