"""How a classifier's answers are counted as a profile.

This module travels with the registered model, so it knows little but numpy.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tasks.contract.profile import UNLISTED, Feature, Profile, Watch
from tasks.sources.label_names import match_labels

# Eight bins per doubling; halves lie between whole numbers, so the middle of a narrow bin is the length it holds.
LENGTHS = np.unique(np.round(2 ** (np.arange(-8, 161) / 8))) + 0.5
# What has nothing of it has a bin of its own.
SHARES = np.concatenate([[0.0], np.arange(201) / 200])
# Finer towards 1, where the answers of a sure model crowd.
CONFIDENCE = Feature(
    title="mean confidence",
    form="{:.1%}",
    bounds=np.concatenate([np.arange(99) / 100, 0.99 + np.arange(9) / 1e3, 0.999 + np.arange(11) / 1e4]),
)
WATCH = Watch(
    unit="rows",
    min_rows=500,
    features={
        "length": Feature(title="mean length in tokens", form="{:.1f}", bounds=LENGTHS),
        "oov_share": Feature(title="share of unknown tokens", form="{:.1%}", bounds=SHARES),
        "confidence": CONFIDENCE,
    },
)


def profile_rows(
    values: Mapping[str, np.ndarray],
    *,
    probabilities: np.ndarray,
    labels: Sequence[str],
    true_labels: Sequence[str | None] | None = None,
    watch: Watch = WATCH,
) -> Profile:
    """Count rows by probabilities [n, classes] of `labels`, and by `values` [n], named as what is watched.

    A true label is None where it is unknown; all that the model does not know are counted under `UNLISTED`. A spelling
    that reads like the label of one class counts as that label.
    """
    if not len(probabilities):
        return Profile.empty()
    counted = {**values, "confidence": probabilities.max(axis=1)}
    predicted = [labels[index] for index in probabilities.argmax(axis=1)]
    known = [None] * len(predicted) if true_labels is None else true_labels
    listed = match_labels({label for label in known if label is not None}, labels)
    pairs = [(guess, listed.get(label)) for guess, label in zip(predicted, known, strict=True) if label is not None]
    return Profile(
        rows=len(predicted),
        histograms={name: watch.feature(name)[0].count(numbers) for name, numbers in counted.items()},
        predicted=dict(Counter(predicted)),
        true=dict(Counter(UNLISTED if label is None else label for _, label in pairs)),
        hits=sum(guess == label for guess, label in pairs),
    )
