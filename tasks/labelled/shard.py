"""Stage `shard` for labelled rows: encoded, of many lengths, to bucketed, padded Arrow files to map and to slice.

One file per split and bucket. Rows are stored in random order, so that a batch cut from any part of a file is a random
sample even if the source was sorted by label. A step of a row is an id (column `tokens`) or some numbers (`values`).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import Field

from rnnmodels.config import Settings
from tasks.labelled.buckets import choose_widths, fill_of
from tasks.labelled.summaries import SPLITS, UNLABELLED, EncodedSummary
from tasks.labelled.truncation import truncated
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary

RECORD_BATCH_ROWS = 4_096
READ_ROWS = 20_000
SCALAR_TYPES = {"row": np.dtype(np.uint32), "length": np.dtype(np.uint32), "target": np.dtype(np.uint16)}

Histogram = tuple[np.ndarray, np.ndarray]


class BucketSettings(Settings):
    """How sequences of many lengths are cut, bucketed and padded."""

    max_length: int = Field(1_000, ge=1, le=1_000_000, description="Maximum number of steps kept of a sequence.")
    keep: Literal["head", "tail", "both"] = Field("both", description="Which end of a longer sequence is kept.")
    num_widths: int = Field(16, ge=1, le=256, description="Maximum number of bucket widths.")
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the stored row order.")


@dataclass(frozen=True, kw_only=True)
class StepColumn:
    """The list column that holds the steps of a row, one after the other.

    A step is one number, such as the id of a token, or where there is a `size` one number for each of as many channels.
    """

    name: str
    kind: np.dtype
    size: int | None = None

    @classmethod
    def of(cls, encoded: pl.LazyFrame, num_channels: int) -> "StepColumn":
        """The one list column of encoded rows."""
        [(name, inner)] = [
            (name, kind.inner) for name, kind in encoded.collect_schema().items() if isinstance(kind, pl.List)
        ]
        return cls(name=name, kind=pl.Series(dtype=inner).to_numpy().dtype, size=num_channels or None)

    @property
    def numbers_per_step(self) -> int:
        """How many places of the list a step takes."""
        return 1 if self.size is None else self.size

    def count_steps(self) -> pl.Expr:
        """Length of a row in steps."""
        return pl.col(self.name).list.len().cast(pl.Int64) // self.numbers_per_step

    def count_lengths(self, encoded: pl.LazyFrame) -> Histogram:
        """Histogram of the lengths: lengths in ascending order, and their rows."""
        counted = encoded.group_by(length=self.count_steps()).agg(rows=pl.len().cast(pl.Int64)).sort("length")
        counted = counted.collect(engine="streaming")
        return counted["length"].to_numpy(), counted["rows"].to_numpy()

    def list_type(self, width: int) -> pa.DataType:
        """Arrow's type of a row padded to a width."""
        kind = pa.from_numpy_dtype(self.kind)
        return pa.list_(kind if self.size is None else pa.list_(kind, self.size), width)

    def lists_of(self, matrix: np.ndarray, width: int) -> pa.FixedSizeListArray:
        """Padded rows [rows, width * numbers_per_step] as Arrow lists, nothing copied."""
        values = pa.array(matrix.reshape(-1))
        if self.size is not None:
            values = pa.FixedSizeListArray.from_arrays(values, self.size)
        return pa.FixedSizeListArray.from_arrays(values, width)


def pad_rows(values: pl.Series, width: int) -> np.ndarray:
    """Right-pad lists with 0 to a matrix [rows, width]."""
    numbers = values.list.explode().to_numpy()
    real = np.arange(width) < values.list.len().to_numpy()[:, None]
    padded = np.zeros(real.shape, dtype=numbers.dtype)
    padded[real] = numbers
    return padded


class BucketWriter:
    """Gathers the rows of one split and bucket at their shuffled places, then writes one Arrow file.

    The matrix lives in a mapped temporary file, so memory stays flat however many rows there are.
    """

    def __init__(self, path: Path, column: StepColumn, *, num_rows: int, width: int, seed: int) -> None:
        self.path, self.column, self.num_rows, self.width = path, column, num_rows, width
        self.places = np.random.default_rng([seed, width]).permutation(num_rows)
        self.num_added = 0
        self.scalars = {name: np.zeros(num_rows, dtype) for name, dtype in SCALAR_TYPES.items()}
        self.scratch = path.with_suffix(".scratch")
        shape = (num_rows, width * column.numbers_per_step)
        self.steps = np.memmap(self.scratch, dtype=column.kind, mode="w+", shape=shape)

    def add(self, rows: pl.DataFrame) -> None:
        """Take the next rows, with columns row, length, target and the steps."""
        places = self.places[self.num_added : self.num_added + rows.height]
        for name, column in self.scalars.items():
            column[places] = rows[name].to_numpy()
        self.steps[places] = pad_rows(rows[self.column.name], self.steps.shape[1])
        self.num_added += rows.height

    def close(self) -> dict:
        """Write the Arrow file and return its entry for `shards.json`."""
        schema = self._schema()
        with pa.OSFile(str(self.path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for start in range(0, self.num_rows, RECORD_BATCH_ROWS):
                part = slice(start, start + RECORD_BATCH_ROWS)
                scalars = (pa.array(column[part]) for column in self.scalars.values())
                steps = self.column.lists_of(self.steps[part], self.width)
                writer.write_batch(pa.record_batch([*scalars, steps], schema=schema))
        del self.steps
        self.scratch.unlink()
        num_steps = int(self.scalars["length"].sum(dtype=np.int64))
        return {"file": self.path.name, "width": self.width, "rows": self.num_rows, "tokens": num_steps}

    def _schema(self) -> pa.Schema:
        scalars = [(name, pa.from_numpy_dtype(dtype)) for name, dtype in SCALAR_TYPES.items()]
        return pa.schema([*scalars, (self.column.name, self.column.list_type(self.width))])


def write_split(
    folder: Path, split: str, encoded: pl.LazyFrame, column: StepColumn, *, widths: list[int], seed: int
) -> list[dict]:
    """Write the shards of one split; returns their entries for `shards.json`."""
    lengths, counts = column.count_lengths(encoded)
    bucket_of_length = np.searchsorted(widths, lengths)
    writers = {
        bucket: BucketWriter(
            folder / f"{split}-{widths[bucket]:05d}.arrow",
            column,
            num_rows=int(counts[bucket_of_length == bucket].sum()),
            width=widths[bucket],
            seed=seed,
        )
        for bucket in np.unique(bucket_of_length)
    }
    done = 0
    for batch in encoded.collect_batches(chunk_size=READ_ROWS, maintain_order=True):
        for (bucket,), rows in _by_bucket(batch, column, widths):
            writers[bucket].add(rows)
        done += batch.height
        emit(Progress(stage="shard", label=split, done=done, total=int(counts.sum())))
    return [{"split": split, **writer.close()} for writer in writers.values()]


def fit_widths(histograms: Mapping[str, Histogram], num_widths: int) -> list[int]:
    """Widths fitted to the training rows; the widest also holds the longest row of any other split."""
    widths = choose_widths(*histograms["train"], num_widths)
    longest = max(int(lengths[-1]) for lengths, _ in histograms.values())
    return [*widths[:-1], max(widths[-1], longest)]


def write_shards(folder: Path, *, encoded: Artefact, settings: BucketSettings) -> Summary:
    """Fill the artefact's folder: Arrow files of each split, and `shards.json` that describes them."""
    summary = EncodedSummary.of(encoded)
    whole = {split: pl.scan_parquet(encoded.file(f"{split}.parquet")) for split in SPLITS}
    if encoded.path.joinpath(f"{UNLABELLED}.parquet").exists():
        texts = pl.scan_parquet(encoded.file(f"{UNLABELLED}.parquet"))
        whole[UNLABELLED] = texts.with_columns(target=pl.lit(0, pl.UInt16))
    column = StepColumn.of(whole["train"], len(summary.channels))
    cut = {"max_length": settings.max_length, "keep": settings.keep}
    steps = truncated(pl.col(column.name), **cut, size=column.numbers_per_step)
    sequences = {split: frame.with_columns(steps) for split, frame in whole.items()}
    histograms = {split: column.count_lengths(frame) for split, frame in sequences.items()}
    widths = fit_widths(histograms, settings.num_widths)
    entries = [
        entry
        for split, frame in sequences.items()
        for entry in write_split(folder, split, frame, column, widths=widths, seed=settings.seed)
    ]
    layout = {"widths": widths, **summary.sizes, **cut, "files": entries}
    (folder / "shards.json").write_text(json.dumps(layout, indent=1), encoding="utf-8")
    longer = (column.count_steps() > settings.max_length).sum()
    truncated_rows = {
        split: int(frame.select(longer).collect(engine="streaming").item()) for split, frame in whole.items()
    }
    return Summary(
        rows=sum(entry["rows"] for entry in entries if entry["split"] in SPLITS),
        widths=widths,
        fill={split: round(fill_of(*histogram, widths), 4) for split, histogram in histograms.items()},
        lengths=np.column_stack(histograms["train"]).tolist(),
        truncated=truncated_rows,
        warnings=find_truncation(truncated_rows["train"], whole["train"], column, settings),
    )


def find_truncation(num_truncated: int, train: pl.LazyFrame, column: StepColumn, settings: BucketSettings) -> list[str]:
    """Warn where most training rows are cut, with the length that would leave most of them whole."""
    median = int(train.select(column.count_steps().median()).collect(engine="streaming").item())
    if median <= settings.max_length:
        return []
    return [
        f"most training rows ({num_truncated:,}) are longer than {settings.max_length:,} steps and are cut, so models "
        f"read a part of them; set shard.max_length = {median}, or more, to read more than half of them whole"
    ]


def _by_bucket(batch: pl.DataFrame, column: StepColumn, widths: list[int]) -> Iterator[tuple[tuple[int], pl.DataFrame]]:
    sized = batch.with_columns(length=column.count_steps())
    bucket = np.searchsorted(widths, sized["length"].to_numpy())
    yield from sized.with_columns(bucket=pl.Series(bucket)).group_by("bucket", maintain_order=True)
