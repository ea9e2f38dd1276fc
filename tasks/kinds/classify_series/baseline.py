"""The baseline of sequence classification: a logistic regression on a few statistics of each channel.

Statistics of a channel: mean, deviation, least and largest value, first and last value, and the slope of a line through
its steps; besides, the logarithm of the length. They are scaled by the training sequences.
"""

import time
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import Field, PositiveFloat

from rnnmodels.config import Settings
from tasks.contract.summaries import ModelSummary
from tasks.kinds.classify_series.numbers import VALUES_COLUMN
from tasks.labelled.linear import write_regression
from tasks.labelled.summaries import SPLITS, EncodedSummary
from tasks.store.artefacts import Artefact

NAME = "statistics-logistic"
INPUTS = ("encoded",)


class SequenceBaselineSettings(Settings):
    """Statistics of each channel with a logistic regression."""

    c_grid: tuple[PositiveFloat, ...] = Field(
        (0.01, 0.1, 1, 10, 100),
        min_length=1,
        max_length=50,
        description="Inverse strengths of the L2 penalty to try; the lowest validation loss decides.",
    )


def measure_sequence(values: np.ndarray) -> np.ndarray:
    """Statistics of one sequence [steps, channels]: float64 [7 * channels + 1]."""
    step = np.arange(len(values)) - (len(values) - 1) / 2
    slope = step @ (values - values.mean(axis=0)) / max((step**2).sum(), 1.0)
    extremes = (values.min(axis=0), values.max(axis=0), values[0], values[-1])
    return np.concatenate([values.mean(axis=0), values.std(axis=0), *extremes, slope, [np.log(len(values))]])


def read_statistics(encoded: Artefact, split: str) -> tuple[pl.DataFrame, np.ndarray]:
    """Rows of a split (row, target), and their statistics [rows, statistics]."""
    rows = pl.read_parquet(encoded.file(f"{split}.parquet"))
    shape = (-1, len(EncodedSummary.of(encoded).channels))
    statistics = [
        measure_sequence(values.to_numpy().reshape(shape).astype(np.float64)) for values in rows[VALUES_COLUMN]
    ]
    return rows.select("row", "target"), np.stack(statistics)


def write_baseline(folder: Path, *, encoded: Artefact, settings: SequenceBaselineSettings) -> ModelSummary:
    """Fill the artefact's folder: predictions on validation and test, as for any model."""
    from sklearn.preprocessing import StandardScaler

    started_s = time.perf_counter()
    rows, statistics = {}, {}
    for split in SPLITS:
        rows[split], statistics[split] = read_statistics(encoded, split)
    scaling = StandardScaler().fit(statistics["train"])
    features = {split: scaling.transform(of_split) for split, of_split in statistics.items()}
    return write_regression(folder, NAME, rows, features, settings.c_grid, started_s=started_s)


BASELINES = {NAME: write_baseline}
