"""Ids to bucketed, padded Arrow files."""

from pathlib import Path

import numpy as np
import polars as pl

from rnnflow_bits.encode import SPLITS, VOCABULARY_SIZE
from tasks.labelled.shard import BucketSettings, StepColumn, write_buckets
from tasks.labelled.summaries import EncodedSummary
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.text.tokenizers import truncated


def write_shards(folder: Path, *, encoded: Artefact, settings: BucketSettings) -> Summary:
    """Fill the artefact's folder: Arrow files of each split, and `shards.json` that describes them."""
    cut = truncated(pl.col("tokens"), max_length=settings.max_length, keep=settings.keep)
    lines = {split: pl.scan_parquet(encoded.file(f"{split}.parquet")).with_columns(tokens=cut) for split in SPLITS}
    sizes = {"vocabulary_size": VOCABULARY_SIZE, "num_classes": len(EncodedSummary.of(encoded).labels)}
    return write_buckets(
        folder, lines, StepColumn(name="tokens", kind=np.dtype(np.uint8)), settings=settings, sizes=sizes
    )
