"""The profile that later sequences are compared with: that of the validation sequences."""

import polars as pl

from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import Profile
from tasks.kinds.classify_series.classifier import SequenceLabeller
from tasks.kinds.classify_series.evaluate import read_predictions
from tasks.kinds.classify_series.profile import WATCH, measure_sequences
from tasks.labelled.monitor import profile_validation

__all__ = ["WATCH", "reference_profile"]


def reference_profile(labeller: SequenceLabeller, best: Scored, lineage: Lineage) -> Profile:
    """Count the validation sequences of an evaluated model, their numbers as the served one reads them."""
    predictions = read_predictions(best.model, lineage.encoded, "valid")
    sequences = pl.read_parquet(lineage.splits.file("valid.parquet")).sort("row")
    values = measure_sequences(sequences, labeller.encode(sequences), labeller.serving.channels)
    return profile_validation(predictions, values, best, lineage, WATCH)
