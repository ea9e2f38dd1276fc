"""How far two computations of the same numbers are apart, and the certificate that they are the same."""

from dataclasses import dataclass
from typing import Self

import numpy as np


def largest_deviation(actual: np.ndarray, expected: np.ndarray) -> float:
    """Largest |difference| / max(1, |expected|)."""
    return float(np.max(np.abs(actual - expected) / np.maximum(1, np.abs(expected)), initial=0.0))


@dataclass(frozen=True)
class Certificate:
    """Largest deviation per variation that must not matter; `passed` if none exceeds the tolerance."""

    deviations: dict[str, float]
    tolerance: float
    passed: bool
    num_sequences: int

    @classmethod
    def of(cls, deviations: dict[str, float], *, tolerance: float, num_sequences: int) -> Self:
        """Judge deviations by a tolerance."""
        passed = all(deviation <= tolerance for deviation in deviations.values())
        return cls(deviations, tolerance, passed, num_sequences)
