"""What a batch of predictions looks like, as counts: cheap to add up, to store and to compare.

This module travels with the registered model, so it knows little but numpy. Bins are fixed once and for all, so any two
profiles can be added; changing them is a new `PROFILE_FORMAT`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROFILE_FORMAT = 1

# Bounds of bins; a bin holds what is above its lower and at most its upper bound, the outer bins also what lies beyond.
BOUNDS = {
    # Eight bins per doubling; halves lie between whole numbers, so the middle of a narrow bin is the length it holds.
    "length": np.unique(np.round(2 ** (np.arange(-8, 161) / 8))) + 0.5,
    # A text without unknown tokens has a bin of its own.
    "oov_share": np.concatenate([[0.0], np.arange(201) / 200]),
    # Finer towards 1, where the answers of a sure model crowd.
    "confidence": np.concatenate([np.arange(99) / 100, 0.99 + np.arange(9) / 1e3, 0.999 + np.arange(11) / 1e4]),
}
UNLISTED = ""  # counts the true labels that the model does not know; no label is the empty text


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Counts over rows: a histogram per feature, predicted labels and, where known, true labels and hits.

    `histograms` maps the names in `BOUNDS` to counts per bin.
    """

    histograms: Mapping[str, tuple[int, ...]]
    predicted: Mapping[str, int]
    true: Mapping[str, int]
    hits: int

    @classmethod
    def empty(cls) -> "Profile":
        """The profile of no rows: adding it changes nothing."""
        histograms = {feature: (0,) * (len(bounds) - 1) for feature, bounds in BOUNDS.items()}
        return cls(histograms=histograms, predicted={}, true={}, hits=0)

    @property
    def rows(self) -> int:
        """Rows counted."""
        return sum(self.predicted.values())

    @property
    def labelled_rows(self) -> int:
        """Rows whose true label was known."""
        return sum(self.true.values())

    def __add__(self, other: "Profile") -> "Profile":
        """Count the rows of both."""
        return Profile(
            histograms={
                feature: tuple(starmap(add, zip(counts, other.histograms[feature], strict=True)))
                for feature, counts in self.histograms.items()
            },
            predicted=dict(Counter(self.predicted) + Counter(other.predicted)),
            true=dict(Counter(self.true) + Counter(other.true)),
            hits=self.hits + other.hits,
        )

    def as_json(self) -> dict[str, Any]:
        """Return JSON values, 1 to 3 kB as text."""
        return {
            "format": PROFILE_FORMAT,
            "histograms": {feature: list(counts) for feature, counts in self.histograms.items()},
            "predicted": dict(self.predicted),
            "true": dict(self.true),
            "hits": self.hits,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Profile":
        """Read what `as_json` returned; raises ValueError, KeyError or TypeError for anything else."""
        if fields["format"] != PROFILE_FORMAT:
            raise ValueError(f"got profile format {fields['format']}, expected {PROFILE_FORMAT}")
        histograms = {feature: tuple(map(int, fields["histograms"][feature])) for feature in BOUNDS}
        for feature, counts in histograms.items():
            if len(counts) != len(BOUNDS[feature]) - 1:
                raise ValueError(f"got {len(counts)} bins of {feature}, expected {len(BOUNDS[feature]) - 1}")
        predicted, true = (
            {str(label): int(rows) for label, rows in dict(fields[kind]).items()} for kind in ("predicted", "true")
        )
        return cls(histograms=histograms, predicted=predicted, true=true, hits=int(fields["hits"]))


def mean_of_bins(feature: str, counts: Sequence[int] | NDArray[np.int64]) -> float:
    """Mean of a feature as its histogram has it, each row at the middle of its bin."""
    bounds = BOUNDS[feature]
    return float(np.average((bounds[:-1] + bounds[1:]) / 2, weights=counts))
