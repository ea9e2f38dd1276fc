"""Stage `shard` for texts: token ids to bucketed, padded Arrow files that a loader can map and slice."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from tasks.classification.buckets import fill_of
from tasks.classification.sharding import StepColumn, fit_widths, write_split
from tasks.part import Part
from tasks.store import Artefact
from tasks.text.encoding import SPLITS
from tasks.text.tokenizers import truncated


class ShardSettings(Part):
    """How sequences are cut, bucketed and padded."""

    max_length: int = Field(400, ge=1, le=1_000_000, description="Tokens kept of a sequence, at most.")
    keep: Literal["head", "tail", "both"] = Field("both", description="Which end of a longer sequence is kept.")
    num_widths: int = Field(16, ge=1, le=256, description="Bucket widths, at most.")
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the stored row order.")


def write_shards(folder: Path, *, encoded: Artefact, settings: ShardSettings) -> dict:
    """Fill the artefact's folder: Arrow files of each split, and `shards.json` that describes them."""
    ids = {split: pl.scan_parquet(encoded.file(f"{split}.parquet")) for split in SPLITS}
    cut = truncated(pl.col("tokens"), max_length=settings.max_length, keep=settings.keep)
    sequences = {split: frame.with_columns(tokens=cut) for split, frame in ids.items()}
    id_type = ids["train"].collect_schema()["tokens"].inner
    column = StepColumn(name="tokens", kind=pl.Series(dtype=id_type).to_numpy().dtype)
    histograms = {split: column.count_lengths(frame) for split, frame in sequences.items()}
    widths = fit_widths(histograms, settings.num_widths)
    entries = [
        entry
        for split, frame in sequences.items()
        for entry in write_split(folder, split, frame, column, widths=widths, seed=settings.seed)
    ]
    layout = {
        "widths": widths,
        "vocabulary_size": encoded.summary["vocabulary_size"],
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
        "truncated": {split: _count_longer(frame, settings.max_length) for split, frame in ids.items()},
        "lengths": np.column_stack(histograms["train"]).tolist(),
    }


def _count_longer(encoded: pl.LazyFrame, max_length: int) -> int:
    longer = encoded.select((pl.col("tokens").list.len() > max_length).sum())
    return int(longer.collect(engine="streaming").item())
