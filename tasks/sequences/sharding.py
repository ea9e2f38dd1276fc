"""Stage `shard` for sequences: scaled numbers to bucketed, padded Arrow files that a loader can map and slice."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from tasks.classification.buckets import fill_of
from tasks.classification.sharding import StepColumn, fit_widths, write_split
from tasks.part import Part
from tasks.sequences.encoding import VALUES_COLUMN, truncated_steps
from tasks.sequences.frames import SPLITS
from tasks.store import Artefact


class SequenceShardSettings(Part):
    """How sequences are cut, bucketed and padded."""

    max_length: int = Field(1_000, ge=1, le=1_000_000, description="Steps kept of a sequence, at most.")
    keep: Literal["head", "tail", "both"] = Field("both", description="Which end of a longer sequence is kept.")
    num_widths: int = Field(8, ge=1, le=256, description="Bucket widths, at most.")
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the stored row order.")


def write_shards(folder: Path, *, encoded: Artefact, settings: SequenceShardSettings) -> dict:
    """Fill the artefact's folder: Arrow files of each split, and `shards.json` that describes them."""
    channels = encoded.summary["channels"]
    column = StepColumn(name=VALUES_COLUMN, kind=np.dtype(np.float32), size=len(channels))
    whole = {split: pl.scan_parquet(encoded.file(f"{split}.parquet")) for split in SPLITS}
    cut = {"max_length": settings.max_length, "keep": settings.keep, "size": column.size}
    sequences = {
        split: frame.with_columns(truncated_steps(pl.col(VALUES_COLUMN), **cut)) for split, frame in whole.items()
    }
    histograms = {split: column.count_lengths(frame) for split, frame in sequences.items()}
    widths = fit_widths(histograms, settings.num_widths)
    entries = [
        entry
        for split, frame in sequences.items()
        for entry in write_split(folder, split, frame, column, widths=widths, seed=settings.seed)
    ]
    layout = {
        "widths": widths,
        "num_channels": column.size,
        "num_classes": len(encoded.summary["labels"]),
        "max_length": settings.max_length,
        "keep": settings.keep,
        "files": entries,
    }
    (folder / "shards.json").write_text(json.dumps(layout, indent=1), encoding="utf-8")
    return {
        "rows": sum(entry["rows"] for entry in entries),
        "widths": widths,
        "fill": {split: round(fill_of(*histogram, widths), 4) for split, histogram in histograms.items()},
        "truncated": {split: _count_longer(frame, settings.max_length) for split, frame in whole.items()},
        "lengths": np.column_stack(histograms["train"]).tolist(),
    }


def _count_longer(encoded: pl.LazyFrame, max_length: int) -> int:
    return int(encoded.select((pl.col("length") > max_length).sum()).collect(engine="streaming").item())
