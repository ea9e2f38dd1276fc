"""Bucket widths: which lengths to pad to, so that the fewest padded tokens are stored and computed."""

import numpy as np

# Beyond this many distinct lengths they are rounded up to a grid first; it costs at most 1 / 2000 in padding.
MAX_DISTINCT_LENGTHS = 2_000


def choose_widths(lengths: np.ndarray, counts: np.ndarray, num_widths: int) -> list[int]:
    """Choose at most `num_widths` widths that minimise the padded tokens of a length histogram.

    `lengths` (ascending) and `counts` are the histogram. Dynamic programming over its prefixes:
    the cheapest cover of the first j lengths with k widths ends in one bucket of width `lengths[j]`.
    """
    lengths, counts = _on_grid(lengths, counts)
    rows_up_to = np.concatenate([[0], np.cumsum(counts)]).astype(np.float64)
    # cost[j]: padded tokens of the first j lengths; one width to start with.
    cost = np.concatenate([[0.0], lengths * rows_up_to[1:]])
    previous_ends = []
    for _ in range(min(num_widths, len(lengths)) - 1):
        cost, ends = _add_width(cost, lengths, rows_up_to)
        previous_ends.append(ends)
    return _walk_back(previous_ends, lengths)


def fill_of(lengths: np.ndarray, counts: np.ndarray, widths: list[int]) -> float:
    """Share of real tokens among the padded ones when each length goes to the narrowest width that holds it."""
    padded = np.asarray(widths)[np.searchsorted(widths, lengths)]
    return float((lengths * counts).sum() / (padded * counts).sum())


def _add_width(cost: np.ndarray, lengths: np.ndarray, rows_up_to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    better, ends = cost.copy(), np.arange(len(cost)) - 1
    for j in range(1, len(cost)):
        totals = cost[:j] + lengths[j - 1] * (rows_up_to[j] - rows_up_to[:j])
        ends[j] = totals.argmin()
        better[j] = totals[ends[j]]
    return better, ends


def _walk_back(previous_ends: list[np.ndarray], lengths: np.ndarray) -> list[int]:
    widths, end = [], len(lengths)
    for ends in [*reversed(previous_ends), None]:
        if end == 0:
            break
        widths.append(int(lengths[end - 1]))
        end = 0 if ends is None else int(ends[end])
    return widths[::-1]


def _on_grid(lengths: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    step = -(-int(lengths.max()) // MAX_DISTINCT_LENGTHS)
    gridded, positions = np.unique(-(-lengths // step) * step, return_inverse=True)
    # The last width must not exceed the longest row.
    gridded[-1] = lengths.max()
    return gridded, np.bincount(positions, weights=counts)
