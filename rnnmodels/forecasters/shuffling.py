"""A random order of any number of rows that is never held in memory.

Source: Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains": an alternating Feistel network over pairs
(left, right) permutes a grid just larger than the range; numbers outside the range walk on until they fall inside.
"""

import math

import numpy as np
from numpy.typing import NDArray

NUM_ROUNDS = 12
LARGEST = 2**62


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
