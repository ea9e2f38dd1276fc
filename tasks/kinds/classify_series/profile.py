"""What is watched of sequences: length, missing numbers, the level of each channel, confidence and labels.

This module travels with the registered model.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from tasks.contract.profile import Feature, Watch
from tasks.labelled.profile import CONFIDENCE, LENGTHS
from tasks.panel.frames import VALUES
from tasks.panel.profile import LEVEL, MISSING

WATCH = Watch(
    unit="sequences",
    min_rows=100,
    features={
        "length": Feature(title="mean length in steps", form="{:.1f}", bounds=LENGTHS),
        "missing": MISSING,
        "level": LEVEL,
        "confidence": CONFIDENCE,
    },
)


def measure_sequences(
    sequences: pl.DataFrame, encoded: Sequence[np.ndarray], channels: Sequence[str]
) -> dict[str, np.ndarray]:
    """Length, share of missing numbers, and mean of each channel as the network reads it, [sequences] each."""
    missing = pl.mean_horizontal(VALUES.list.eval(pl.element().is_null()).list.mean())
    levels_NC = np.array([numbers.mean(axis=0) for numbers in encoded]).reshape(-1, len(channels))
    return {
        "length": sequences["length"].to_numpy(),
        "missing": sequences.select(missing).to_series().to_numpy(),
        **{f"level.{channel}": levels_NC[:, index] for index, channel in enumerate(channels)},
    }
