"""Encoded rows of many lengths to bucketed, padded Arrow files that a loader can map and slice.

One file per split and bucket. Rows are stored in random order, so that a batch cut from any part of a
file is a random sample even if the source was sorted by label.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import Field

from tasks.part import Part
from tasks.progress import Progress, emit
from tasks.store import Artefact
from tasks.text.buckets import choose_widths, fill_of
from tasks.text.encoding import SPLITS
from tasks.text.tokenizers import truncated

RECORD_BATCH_ROWS = 4_096
READ_ROWS = 20_000
SCALAR_TYPES = {"row": np.dtype(np.uint32), "length": np.dtype(np.uint32), "target": np.dtype(np.uint16)}


class ShardSettings(Part):
    """How sequences are cut, bucketed and padded."""

    max_length: int = Field(400, ge=1, le=1_000_000, description="Tokens kept of a sequence, at most.")
    keep: Literal["head", "tail", "both"] = Field("both", description="Which end of a longer sequence is kept.")
    num_widths: int = Field(16, ge=1, le=256, description="Bucket widths, at most.")
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the stored row order.")


def count_lengths(encoded: pl.LazyFrame) -> tuple[np.ndarray, np.ndarray]:
    """Histogram of the lengths of a list column `tokens`: lengths in ascending order, and their rows."""
    lengths = encoded.select(length=pl.col("tokens").list.len().cast(pl.Int64)).group_by("length")
    counted = lengths.agg(rows=pl.len().cast(pl.Int64)).sort("length").collect(engine="streaming")
    return counted["length"].to_numpy(), counted["rows"].to_numpy()


def pad_rows(tokens: pl.Series, width: int) -> np.ndarray:
    """Right-pad lists of ids with 0 to a matrix [rows, width]."""
    ids = tokens.list.explode().to_numpy()
    real = np.arange(width) < tokens.list.len().to_numpy()[:, None]
    padded = np.zeros(real.shape, dtype=ids.dtype)
    padded[real] = ids
    return padded


class BucketWriter:
    """Gathers the rows of one split and bucket at their shuffled places, then writes one Arrow file.

    The matrix lives in a mapped temporary file, so memory stays flat however many rows there are.
    """

    def __init__(self, path: Path, *, num_rows: int, width: int, id_type: np.dtype, seed: int) -> None:
        self.path, self.num_rows, self.width = path, num_rows, width
        self.places = np.random.default_rng([seed, width]).permutation(num_rows)
        self.num_added = 0
        self.scalars = {name: np.zeros(num_rows, dtype) for name, dtype in SCALAR_TYPES.items()}
        self.scratch = path.with_suffix(".scratch")
        self.tokens = np.memmap(self.scratch, dtype=id_type, mode="w+", shape=(num_rows, width))

    def add(self, rows: pl.DataFrame) -> None:
        """Take the next rows, with columns row, length, target, tokens."""
        places = self.places[self.num_added : self.num_added + rows.height]
        for name, column in self.scalars.items():
            column[places] = rows[name].to_numpy()
        self.tokens[places] = pad_rows(rows["tokens"], self.width)
        self.num_added += rows.height

    def close(self) -> dict:
        """Write the Arrow file and return its entry for `shards.json`."""
        schema = self._schema()
        with pa.OSFile(str(self.path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for start in range(0, self.num_rows, RECORD_BATCH_ROWS):
                part = slice(start, start + RECORD_BATCH_ROWS)
                ids = pa.FixedSizeListArray.from_arrays(pa.array(self.tokens[part].reshape(-1)), self.width)
                scalars = (pa.array(column[part]) for column in self.scalars.values())
                writer.write_batch(pa.record_batch([*scalars, ids], schema=schema))
        del self.tokens
        self.scratch.unlink()
        num_tokens = int(self.scalars["length"].sum(dtype=np.int64))
        return {"file": self.path.name, "width": self.width, "rows": self.num_rows, "tokens": num_tokens}

    def _schema(self) -> pa.Schema:
        scalars = [(name, pa.from_numpy_dtype(dtype)) for name, dtype in SCALAR_TYPES.items()]
        return pa.schema([*scalars, ("tokens", pa.list_(pa.from_numpy_dtype(self.tokens.dtype), self.width))])


def write_split(folder: Path, split: str, encoded: pl.LazyFrame, *, widths: list[int], seed: int) -> list[dict]:
    """Write the shards of one split; returns their entries for `shards.json`."""
    lengths, counts = count_lengths(encoded)
    bucket_of_length = np.searchsorted(widths, lengths)
    id_type = encoded.collect_schema()["tokens"].inner
    writers = {
        bucket: BucketWriter(
            folder / f"{split}-{widths[bucket]:05d}.arrow",
            num_rows=int(counts[bucket_of_length == bucket].sum()),
            width=widths[bucket],
            id_type=pl.Series(dtype=id_type).to_numpy().dtype,
            seed=seed,
        )
        for bucket in np.unique(bucket_of_length)
    }
    done = 0
    for batch in encoded.collect_batches(chunk_size=READ_ROWS, maintain_order=True):
        for (bucket,), rows in _by_bucket(batch, widths):
            writers[bucket].add(rows)
        done += batch.height
        emit(Progress(stage="shard", label=split, done=done, total=int(counts.sum())))
    return [{"split": split, **writer.close()} for writer in writers.values()]


def _by_bucket(batch: pl.DataFrame, widths: list[int]) -> Iterator[tuple[tuple[int], pl.DataFrame]]:
    sized = batch.with_columns(length=pl.col("tokens").list.len())
    bucket = np.searchsorted(widths, sized["length"].to_numpy())
    yield from sized.with_columns(bucket=pl.Series(bucket)).group_by("bucket", maintain_order=True)


def write_shards(folder: Path, *, encoded: Artefact, settings: ShardSettings) -> dict:
    """Fill the artefact's folder: Arrow files of each split, and `shards.json` that describes them."""
    ids = {split: pl.scan_parquet(encoded.file(f"{split}.parquet")) for split in SPLITS}
    cut = truncated(pl.col("tokens"), max_length=settings.max_length, keep=settings.keep)
    sequences = {split: frame.with_columns(tokens=cut) for split, frame in ids.items()}
    histograms = {split: count_lengths(frame) for split, frame in sequences.items()}
    widths = _widths_for(histograms, settings.num_widths)
    entries = [
        entry
        for split, frame in sequences.items()
        for entry in write_split(folder, split, frame, widths=widths, seed=settings.seed)
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


def _widths_for(histograms: dict[str, tuple[np.ndarray, np.ndarray]], num_widths: int) -> list[int]:
    """Widths fitted to the training rows; the widest also holds the longest row of any other split."""
    widths = choose_widths(*histograms["train"], num_widths)
    longest = max(int(lengths[-1]) for lengths, _ in histograms.values())
    return [*widths[:-1], max(widths[-1], longest)]


def _count_longer(encoded: pl.LazyFrame, max_length: int) -> int:
    longer = encoded.select((pl.col("tokens").list.len() > max_length).sum())
    return int(longer.collect(engine="streaming").item())
