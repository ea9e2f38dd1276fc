"""How far two computations of the same numbers are apart."""

import numpy as np


def largest_deviation(actual: np.ndarray, expected: np.ndarray) -> float:
    """Largest |difference| / max(1, |expected|)."""
    return float(np.max(np.abs(actual - expected) / np.maximum(1, np.abs(expected)), initial=0.0))
