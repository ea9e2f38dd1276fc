"""Windows over series: a memory-mapped Arrow file of gap-free segments, cut only when a batch is taken.

Each record batch of the file is one segment of one series, with the columns `row`, `series`, `time`, `values` and,
where there are known covariates, `covariates`. A window is look-back + horizon consecutive rows of one segment.
Windows are shuffled by a random order of any number of rows that is never held in memory. Black and Rogaway 2002,
"Ciphers with Arbitrary Finite Domains": an alternating Feistel network over pairs (left, right) permutes a grid just
larger than the range; numbers outside the range walk on until they fall inside.
Shapes: B windows of a batch, N rows of a segment, T = look-back + horizon steps, L look-back, H horizon, C channels,
D covariates.
"""

import dataclasses
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rnnmodels.durable import sha256_of_file
from rnnmodels.forecasters.mapped_segments import Segments, map_segments

NUM_ROUNDS = 12
LARGEST = 2**62


@dataclass(frozen=True)
class WindowShape:
    """Steps and features of a window."""

    look_back: int
    horizon: int
    num_channels: int
    num_covariates: int = 0

    @property
    def num_steps(self) -> int:
        """Look-back and horizon together."""
        return self.look_back + self.horizon


@dataclass(frozen=True)
class WindowBatch:
    """Windows in float32: `row` their ids (B), `history` (B, L, C), `future` (B, H, C), `covariates` (B, T, D)."""

    row: NDArray[np.int64]
    history: NDArray[np.float32]
    future: NDArray[np.float32]
    covariates: NDArray[np.float32]

    def first(self, count: int) -> "WindowBatch":
        """The first windows of the batch, at most `count`."""
        return WindowBatch(self.row[:count], self.history[:count], self.future[:count], self.covariates[:count])


@dataclass(frozen=True)
class Origins:
    """The last history row of windows: its number in the source, the series' index, the time."""

    row: NDArray[np.uint32]
    series: NDArray[np.int64]
    time: NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """The windows of one split, numbered through all segments; they exist only as positions in the mapped file."""

    path: Path
    shape: WindowShape
    stride: int
    segments: Segments
    windows_per_epoch: int = 0

    @cached_property
    def first_window(self) -> NDArray[np.int64]:
        """The id of each segment's first window, and the number of all windows last."""
        num_windows = (self.segments.num_rows - self.shape.num_steps) // self.stride + 1
        return np.concatenate([[0], np.cumsum(np.maximum(num_windows, 0))])

    @property
    def num_rows(self) -> int:
        """Windows in all."""
        return int(self.first_window[-1])

    @property
    def place(self) -> str:
        """The file, for messages."""
        return str(self.path)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the file's content and how windows are cut from it, in hexadecimal."""
        cut = f"{self.shape.look_back} {self.shape.horizon} {self.stride}"
        return hashlib.sha256(f"{sha256_of_file(self.path)} {cut}".encode()).hexdigest()

    def sampled(self, windows_per_epoch: int) -> "Windows":
        """Let shuffled epochs hold at most that many windows, different ones in each; 0 lets them hold all."""
        return dataclasses.replace(self, windows_per_epoch=windows_per_epoch)

    def looking_back(self, num_steps: int) -> "Windows":
        """Cut the same rows into windows with another look-back; a shorter one leaves room for more of them."""
        return dataclasses.replace(self, shape=dataclasses.replace(self.shape, look_back=num_steps))

    def num_batches(self, batch_size: int) -> int:
        """Batches per shuffled epoch of at most `batch_size` windows."""
        return -(-self._epoch_windows // batch_size)

    def batches(self, batch_size: int, *, seed: int | None = None, epoch: int = 0) -> Iterator[WindowBatch]:
        """Yield an epoch's windows in batches of nearly equal size.

        They are drawn in random order as a function of (seed, epoch); without a seed come all, in stored order.
        """
        if seed is None:
            yield from (self.take(np.arange(*edges)) for edges in _cut(self.num_rows, batch_size))
            return
        order = Shuffle(self.num_rows, seed=seed, epoch=epoch)
        yield from (self.take(order.take(*edges)) for edges in _cut(self._epoch_windows, batch_size))

    def take(self, ids: NDArray[np.int64]) -> WindowBatch:
        """Copy windows out of the file, by id and in any order."""
        segment, offset = self.locate(ids)
        values_BTC = self.segments.copy_values(segment, offset, self.shape.num_steps)
        covariates_BTD = self.segments.copy_covariates(segment, offset, self.shape.num_steps)
        look_back = self.shape.look_back
        return WindowBatch(ids, values_BTC[:, :look_back], values_BTC[:, look_back:], covariates_BTD)

    def locate(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find each window's segment and its first row within that; raises IndexError for an id out of range."""
        if ids.size and not 0 <= ids.min() <= ids.max() < self.num_rows:
            raise IndexError(f"window ids from {ids.min()} to {ids.max()}, expected 0 to {self.num_rows - 1}")
        segment = np.searchsorted(self.first_window, ids, side="right") - 1
        return segment, (ids - self.first_window[segment]) * self.stride

    def origins(self, ids: NDArray[np.int64]) -> Origins:
        """Tell where in the source and in time the windows' histories end."""
        segment, offset = self.locate(ids)
        last = offset + self.shape.look_back - 1
        row = self.segments.mapped(np.uint32)[self.segments.row[segment] + last]
        time = self.segments.mapped(np.int64)[self.segments.time[segment] + last]
        return Origins(row, self.segments.series[segment], time)

    def view(self, segment: int) -> NDArray[np.float32]:
        """All windows of a segment (windows, T, C) as a strided view of the mapped file."""
        values_NC = self.segments.values_of(segment)
        return sliding_window_view(values_NC, self.shape.num_steps, axis=0)[:: self.stride].transpose(0, 2, 1)

    @property
    def _epoch_windows(self) -> int:
        return min(self.windows_per_epoch or self.num_rows, self.num_rows)


def open_windows(path: Path, *, look_back: int, horizon: int, stride: int = 1) -> Windows:
    """Memory-map a file of segments; nothing is read until a batch is taken.

    Raises ValueError for a file that is compressed, whose columns could not be used in place.
    """
    segments = map_segments(path)
    shape = WindowShape(look_back, horizon, segments.num_channels, segments.num_covariates)
    return Windows(path, shape, stride, segments)


def _cut(num_rows: int, batch_size: int) -> Iterator[tuple[int, int]]:
    """Cut a range into batches of nearly equal size, so that none is a small remainder."""
    num_batches = -(-num_rows // batch_size)
    for index in range(num_batches):
        yield num_rows * index // num_batches, num_rows * (index + 1) // num_batches


class Shuffle:
    """A pseudo-random permutation of range(size), a function of (seed, epoch); any part of it costs its own size."""

    def __init__(self, size: int, *, seed: int, epoch: int = 0) -> None:
        if not 0 <= size <= LARGEST:
            raise ValueError(f"size: got {size}, expected 0 to {LARGEST}")
        self.size = size
        self.num_left = math.isqrt(max(size, 1) - 1) + 1
        self.num_right = -(-max(size, 1) // self.num_left)
        generator = np.random.default_rng([seed, epoch])
        self.keys = generator.integers(2**64, size=NUM_ROUNDS, dtype=np.uint64)

    def take(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the numbers at positions `start` to `stop` - 1."""
        numbers = self._permute(np.arange(start, min(stop, self.size), dtype=np.uint64))
        while (outside := np.flatnonzero(numbers >= self.size)).size:
            numbers[outside] = self._permute(numbers[outside])
        return numbers.astype(np.int64)

    def _permute(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Permute the grid: each round adds a hash of one half to the other, which can be undone."""
        left, right = np.divmod(numbers, np.uint64(self.num_right))
        for first, second in self.keys.reshape(-1, 2):
            left = (left + _mixed(right + first)) % np.uint64(self.num_left)
            right = (right + _mixed(left + second)) % np.uint64(self.num_right)
        return left * np.uint64(self.num_right) + right


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash 64 bits to 63, which leaves room for an addition: the finaliser of splitmix64.

    Steele, Lea, Flood 2014, "Fast Splittable Pseudorandom Number Generators".
    """
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (numbers ^ (numbers >> np.uint64(31))) >> np.uint64(1)
