"""The profile that a classifier's later inputs are compared with: that of its validation rows."""

import json
from collections.abc import Mapping

import numpy as np
import polars as pl

from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import Profile, Watch
from tasks.labelled.calibration import calibrated_probabilities
from tasks.labelled.evaluate import read_sample
from tasks.labelled.profile import WATCH, profile_rows
from tasks.labelled.summaries import EncodedSummary


def profile_validation(
    predictions: pl.DataFrame,
    values: Mapping[str, np.ndarray],
    best: Scored,
    lineage: Lineage,
    watch: Watch = WATCH,
) -> Profile:
    """Count the validation rows of an evaluated model, from the `predictions` it stored and the `values` of its rows.

    Not the training rows: a model has seen them, so it is surer of them, and finds hardly a token of a text unknown;
    any new row would look like drift. Not the test rows: they decide promotions and are not used for anything else.
    Choosing the epoch by validation flatters the accuracy there a little, which `tasks.monitoring.drift` allows for.
    """
    labels = np.array(EncodedSummary.of(lineage.encoded).labels, dtype=object)
    logits, targets = read_sample(predictions)
    temperature = json.loads(best.evaluation.file("metrics.json").read_bytes())["temperature"]
    return profile_rows(
        values,
        probabilities=calibrated_probabilities(logits, temperature),
        labels=labels.tolist(),
        true_labels=labels[targets].tolist(),
        watch=watch,
    )
