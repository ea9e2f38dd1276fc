"""How a registered model is shown to be the one that was evaluated: on which rows, and how closely."""

from pathlib import Path

import polars as pl

# Other batch-mates, other thread counts and other devices round differently; relative to max(1, |logit|).
TOLERANCE = {"cpu": 1e-5, "cuda": 1e-3}


def tolerance_on(device: str) -> float:
    """Largest difference that rounding explains on the device the evaluated logits come from."""
    return TOLERANCE[device.partition(":")[0]]


def sample_rows(path: Path, num_rows: int) -> pl.DataFrame:
    """Take rows evenly spread over a split."""
    rows = pl.read_parquet(path)
    return rows.gather_every(max(1, rows.height // num_rows)).head(num_rows)
