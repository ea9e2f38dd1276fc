"""Stage `shard` for texts: token ids to bucketed, padded Arrow files that a loader can map and slice."""

from pathlib import Path

import polars as pl
from pydantic import Field

from tasks.kinds.classify.encode import SPLITS
from tasks.kinds.classify.summaries import EncodedTextsSummary
from tasks.labelled.shard import BucketSettings, StepColumn, write_buckets
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.text.tokenizers import truncated


class ShardSettings(BucketSettings):
    """How sequences are cut, bucketed and padded."""

    max_length: int = Field(400, ge=1, le=1_000_000, description="Maximum number of tokens kept of a sequence.")


def write_shards(folder: Path, *, encoded: Artefact, settings: ShardSettings) -> Summary:
    """Fill the artefact's folder: Arrow files of each split, and `shards.json` that describes them."""
    ids = {split: pl.scan_parquet(encoded.file(f"{split}.parquet")) for split in SPLITS}
    cut = truncated(pl.col("tokens"), max_length=settings.max_length, keep=settings.keep)
    sequences = {split: frame.with_columns(tokens=cut) for split, frame in ids.items()}
    list_type = ids["train"].collect_schema()["tokens"]
    assert isinstance(list_type, pl.List)
    column = StepColumn(name="tokens", kind=pl.Series(dtype=list_type.inner).to_numpy().dtype)
    summary = EncodedTextsSummary.of(encoded)
    sizes = {"vocabulary_size": summary.vocabulary_size, "num_classes": len(summary.labels)}
    written = write_buckets(folder, sequences, column, settings=settings, sizes=sizes)
    truncated_rows = {split: _count_longer(frame, settings.max_length) for split, frame in ids.items()}
    return written.model_copy(update={"truncated": truncated_rows})


def _count_longer(encoded: pl.LazyFrame, max_length: int) -> int:
    longer = encoded.select((pl.col("tokens").list.len() > max_length).sum())
    return int(longer.collect(engine="streaming").item())
