"""The baseline: a logistic regression on the length of a line, its share of 1s, its first digit and its last."""

import time
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import Field, PositiveFloat

from rnnmodels.config import Settings
from tasks.contract.summaries import ModelSummary
from tasks.labelled.linear import write_regression
from tasks.labelled.summaries import SPLITS
from tasks.store.artefacts import Artefact

NAME = "ones-logistic"
INPUTS = ("encoded",)


class BitBaselineSettings(Settings):
    """Figures of a line with a logistic regression."""

    c_grid: tuple[PositiveFloat, ...] = Field(
        (0.1, 1, 10), min_length=1, max_length=50, description="Inverse strengths of the L2 penalty to try."
    )


def measure_lines(lines: pl.DataFrame) -> np.ndarray:
    """Figures of lines, from their ids: float64 [lines, 4]."""
    ids = pl.col("tokens").list
    length = ids.len().cast(pl.Float64)
    return lines.select(length.log(), ones=ids.mean(), first=ids.first(), last=ids.last()).to_numpy()


def write_baseline(folder: Path, *, encoded: Artefact, settings: BitBaselineSettings) -> ModelSummary:
    """Fill the artefact's folder: predictions on validation and test, as of any model."""
    started_s = time.perf_counter()
    lines = {split: pl.read_parquet(encoded.file(f"{split}.parquet")) for split in SPLITS}
    features = {split: measure_lines(of_split) for split, of_split in lines.items()}
    rows = {split: of_split.select("row", "target") for split, of_split in lines.items()}
    return write_regression(folder, NAME, rows, features, settings.c_grid, started_s=started_s)


BASELINES = {NAME: write_baseline}
