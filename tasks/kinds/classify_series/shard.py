"""Stage `shard` for sequences: scaled numbers to bucketed, padded Arrow files that a loader can map and slice."""

from pathlib import Path

import numpy as np
import polars as pl
from pydantic import Field

from tasks.kinds.classify_series.frames import SPLITS
from tasks.kinds.classify_series.numbers import VALUES_COLUMN, truncated_steps
from tasks.kinds.classify_series.summaries import EncodedSequencesSummary
from tasks.labelled.shard import BucketSettings, StepColumn, write_buckets
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary


class SequenceShardSettings(BucketSettings):
    """How sequences are cut, bucketed and padded."""

    num_widths: int = Field(8, ge=1, le=256, description="Maximum number of bucket widths.")


def write_shards(folder: Path, *, encoded: Artefact, settings: SequenceShardSettings) -> Summary:
    """Fill the artefact's folder: Arrow files of each split, and `shards.json` that describes them."""
    summary = EncodedSequencesSummary.of(encoded)
    channels = summary.channels
    column = StepColumn(name=VALUES_COLUMN, kind=np.dtype(np.float32), size=len(channels))
    whole = {split: pl.scan_parquet(encoded.file(f"{split}.parquet")) for split in SPLITS}
    cut = truncated_steps(pl.col(VALUES_COLUMN), max_length=settings.max_length, keep=settings.keep, size=len(channels))
    sequences = {split: frame.with_columns(cut) for split, frame in whole.items()}
    sizes = {"num_channels": len(channels), "num_classes": len(summary.labels)}
    written = write_buckets(folder, sequences, column, settings=settings, sizes=sizes)
    truncated_rows = {split: _count_longer(frame, settings.max_length) for split, frame in whole.items()}
    return written.model_copy(update={"truncated": truncated_rows})


def _count_longer(encoded: pl.LazyFrame, max_length: int) -> int:
    return int(encoded.select((pl.col("length") > max_length).sum()).collect(engine="streaming").item())
