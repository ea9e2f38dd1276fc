"""A quantity cut into quarters, whose rows are looked at apart."""

from collections.abc import Iterator

import numpy as np

QUARTILES = (0.25, 0.5, 0.75)


def cut_in_quarters(values: np.ndarray) -> Iterator[tuple[float, float, np.ndarray]]:
    """Yield the smallest and largest value and the mask of each quarter; equal values stay together."""
    quarter = np.searchsorted(np.unique(np.quantile(values, QUARTILES)), values)
    for index in np.unique(quarter):
        inside = quarter == index
        yield values[inside].min(), values[inside].max(), inside
