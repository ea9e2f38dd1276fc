"""How a classifier's answers are counted as a profile.

This module travels with the registered model, so it knows little but numpy.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tasks.contract.profile import BOUNDS, UNLISTED, Profile
from tasks.sources.label_names import match_labels


def profile_rows(
    *,
    length: np.ndarray,
    oov_share: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    true_labels: Sequence[str | None] | None = None,
) -> Profile:
    """Count rows by length in tokens, share of unknown tokens and probabilities [n, classes] of `labels`.

    A true label is None where it is unknown; all that the model does not know are counted under `UNLISTED`. A spelling
    that reads like the label of one class counts as that label.
    """
    if not len(length):
        return Profile.empty()
    values = {"length": length, "oov_share": oov_share, "confidence": probabilities.max(axis=1)}
    predicted = [labels[index] for index in probabilities.argmax(axis=1)]
    known = [None] * len(predicted) if true_labels is None else true_labels
    listed = match_labels({label for label in known if label is not None}, labels)
    pairs = [(guess, listed.get(label)) for guess, label in zip(predicted, known, strict=True) if label is not None]
    return Profile(
        histograms={feature: count_in_bins(values[feature], bounds) for feature, bounds in BOUNDS.items()},
        predicted=dict(Counter(predicted)),
        true=dict(Counter(UNLISTED if label is None else label for _, label in pairs)),
        hits=sum(guess == label for guess, label in pairs),
    )


def count_in_bins(values: np.ndarray, bounds: np.ndarray) -> tuple[int, ...]:
    """Count values per bin; those beyond the outer bounds fall in the outer bins."""
    index = np.searchsorted(bounds[1:-1], values, side="left")
    return tuple(np.bincount(index, minlength=len(bounds) - 1).tolist())
