"""Rows to a warm-up, which a detector learns from, and the rows that it judges: what stage `split` does for detectors.

Every series has a warm-up of its own, its first rows, since series of a panel may begin at any time.
"""

from pathlib import Path

import numpy as np
import polars as pl
from pydantic import Field

from rnnmodels.config import Settings
from tasks.errors import InputError
from tasks.kinds.detect.summaries import WarmUpSummary, WatchedRowsSummary
from tasks.panel.frames import ROWS_FILE, TEST, TRAIN, VALID, count_splits
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact


class WarmUpSettings(Settings):
    """How long the warm-up of a series is, whose rows are taken to be ordinary, and which part of it validates."""

    warm_up: float = Field(
        0.3, gt=0, lt=1, description="Share of each series, from its beginning, that the detector learns from."
    )
    max_warm_up_rows: int = Field(
        100_000, ge=2, le=2**32 - 1, description="Maximum rows of a series that it learns from."
    )
    valid: float = Field(
        0.4, gt=0, lt=1, description="Share of the warm-up, at its end, that selects the epoch and the best model."
    )


def must_hold(held: Artefact | None, rows: Artefact, settings: WarmUpSettings) -> bool:  # noqa: ARG001
    """Rows of an earlier split are never kept in place: new rows come at the end."""
    return False


def count_warm_up(num_rows: int, settings: WarmUpSettings) -> int:
    """Rows of a series' warm-up."""
    return min(int(settings.warm_up * num_rows), settings.max_warm_up_rows)


def count_training(warm_up_rows: int, settings: WarmUpSettings) -> int:
    """Rows of the warm-up that weights and scales are fitted to."""
    return int((1 - settings.valid) * warm_up_rows)


def write_splits(
    folder: Path,
    *,
    rows: Artefact,
    settings: WarmUpSettings,
    held: Artefact | None = None,  # noqa: ARG001
) -> WarmUpSummary:
    """Write `rows.parquet` with the column `split`: 0 training, 1 validation, 2 to judge; returns the rows of each.

    Raises InputError (E-DET-002) if no series is long enough for a training, a validation and a test row.
    """
    found = WatchedRowsSummary.of(rows)
    table = divide(pl.read_parquet(rows.file(ROWS_FILE)), settings)
    counts = count_splits(table.lazy())
    short = [name for name, count in counts.items() if not count]
    if short:
        longest = table.group_by("series").len().select(pl.col("len").max()).item()
        raise InputError(
            "E-DET-002",
            f"there are no {short[0]} rows: the longest of {found.series} series has {longest} rows, "
            f"{count_warm_up(longest, settings)} of which are the warm-up.",
            fix="provide longer series, or change split.warm_up and split.valid.",
        )
    table.write_parquet(folder / ROWS_FILE)
    emit(Progress(stage="split", note=", ".join(f"{name}: {count} rows" for name, count in counts.items())))
    return WarmUpSummary(
        rows=table.height,
        splits=counts,
        **found.model_dump(include={"series", "channels", "labelled", "clock", "zone"}),
        warnings=_warnings(table),
    )


def divide(rows: pl.DataFrame, settings: WarmUpSettings) -> pl.DataFrame:
    """Add the column `split` to whole series, UInt8."""
    lengths = rows.group_by("series", maintain_order=True).len()["len"].to_list()
    parts = np.array([count_parts(length, settings) for length in lengths])
    splits = np.repeat(np.tile(np.array([TRAIN, VALID, TEST], np.uint8), len(parts)), parts.ravel())
    return rows.with_columns(split=pl.Series(splits))


def count_parts(num_rows: int, settings: WarmUpSettings) -> tuple[int, int, int]:
    """Rows of a series that train, that validate, and that are judged."""
    warm_up = count_warm_up(num_rows, settings)
    train = count_training(warm_up, settings)
    return train, warm_up - train, num_rows - warm_up


def _warnings(table: pl.DataFrame) -> list[str]:
    warm_up = table.filter(pl.col("split") != TEST)
    num_anomalous = int((warm_up["label"] == 1).sum())
    found = table.group_by("series").agg(is_new=~(pl.col("split") == TRAIN).any())
    counted = {
        f"{num_anomalous} rows of the warm-up are labelled anomalous, but are treated as ordinary": num_anomalous,
        f"{int(found['is_new'].sum())} series too short for a training row": int(found["is_new"].sum()),
    }
    return [warning for warning, count in counted.items() if count]
