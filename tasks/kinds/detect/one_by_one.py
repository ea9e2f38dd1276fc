"""Functions of one number, applied to each of many in turn.

A vectorised sine or logarithm may round a number otherwise where it stands elsewhere in an array: in the last lanes of
a vector register, or in the remainder after them. What is said of a row would then depend on its neighbours.
Sums, products, quotients and square roots need no such care: IEEE 754 fixes their last bit.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def apply(function: Callable[[float], float], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The function of each number, in the shape of the array."""
    return np.array([function(value) for value in values.ravel().tolist()], np.float64).reshape(values.shape)


def sinh(value: float) -> float:
    """The hyperbolic sine, infinite beyond the range of floats."""
    try:
        return math.sinh(value)
    except OverflowError:
        return math.copysign(math.inf, value)
