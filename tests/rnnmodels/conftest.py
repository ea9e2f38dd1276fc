"""Tiny shards and models for the tests of `rnnmodels`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rnnmodels.classifiers.batches import Shards, open_shards
from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.config import Architecture
from rnnmodels.forecasters.windows import Windows, open_windows

VOCABULARY_SIZE = 30
NUM_CLASSES = 2


def write_shard(path: Path, rows: list[tuple[int, list[int], int]], width: int, *, block_rows: int = 4096) -> Path:
    """Write (row id, tokens, target) as the stage `shard` does."""
    tokens = np.zeros((len(rows), width), np.uint16)
    for position, (_, sequence, _) in enumerate(rows):
        tokens[position, : len(sequence)] = sequence
    table = pa.table(
        {
            "row": pa.array([row for row, _, _ in rows], pa.uint32()),
            "length": pa.array([len(sequence) for _, sequence, _ in rows], pa.uint32()),
            "target": pa.array([target for _, _, target in rows], pa.uint16()),
            "tokens": pa.FixedSizeListArray.from_arrays(pa.array(tokens.ravel()), width),
        }
    )
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=block_rows)
    return path


def random_rows(num_rows: int, *, seed: int = 0, longest: int = 16) -> list[tuple[int, list[int], int]]:
    """Rows of class 1 hold token 2 somewhere, those of class 0 do not."""
    generator = np.random.default_rng(seed)
    rows = []
    for row in range(num_rows):
        target = row % NUM_CLASSES
        sequence = generator.integers(3, VOCABULARY_SIZE, generator.integers(1, longest + 1))
        if target:
            sequence[generator.integers(len(sequence))] = 2
        rows.append((row, sequence.tolist(), target))
    return rows


@pytest.fixture
def shard_files(tmp_path: Path) -> Callable[..., list[Path]]:
    """A function that writes random rows into buckets of widths 8 and 16."""

    def write(name: str, num_rows: int, *, seed: int = 0, block_rows: int = 4096) -> list[Path]:
        rows = random_rows(num_rows, seed=seed)
        short, long = [r for r in rows if len(r[1]) <= 8], [r for r in rows if len(r[1]) > 8]
        return [
            write_shard(tmp_path / f"{name}-{width:05d}.arrow", part, width, block_rows=block_rows)
            for width, part in ((8, short), (16, long))
            if part
        ]

    return write


@pytest.fixture
def make_shards(shard_files: Callable[..., list[Path]]) -> Callable[..., Shards]:
    """A function that writes random rows and opens them."""
    return lambda name, num_rows, **options: open_shards(shard_files(name, num_rows, **options))


@pytest.fixture
def make_model() -> Callable[..., SequenceClassifier]:
    """A function that makes a small classifier; keywords override the architecture."""

    def make(seed: int = 1, **architecture: object) -> SequenceClassifier:
        small = {"embedding_size": 6, "hidden_size": 8, "cell": "gru"} | architecture
        return SequenceClassifier(
            Architecture(**small), vocabulary_size=VOCABULARY_SIZE, num_classes=NUM_CLASSES, seed=seed
        )

    return make


@pytest.fixture
def sequences() -> list[np.ndarray]:
    """Random token sequences of very different lengths."""
    generator = np.random.default_rng(5)
    return [generator.integers(2, VOCABULARY_SIZE, length) for length in (1, 2, 9, 33, 64, 80)]


def write_segments(
    path: Path, segments: list[np.ndarray], *, num_covariates: int = 0, compression: str | None = None
) -> Path:
    """Write segments (rows, channels + covariates) of one series each as the stage `shard` does; a row a minute."""
    num_channels = segments[0].shape[1] - num_covariates
    widths = {"values": num_channels, "covariates": num_covariates}
    lists = [(name, pa.list_(pa.float32(), width)) for name, width in widths.items() if width]
    schema = pa.schema([("row", pa.uint32()), ("series", pa.uint32()), ("time", pa.int64()), *lists])
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema, options=options) as writer:
        row = 0
        for series, segment in enumerate(segments):
            rows = np.arange(row, row + len(segment))
            row += len(segment)
            parts = [part for part in np.split(segment.astype(np.float32), [num_channels], axis=1) if part.size]
            columns = [pa.array(rows, pa.uint32()), pa.array(np.full(len(rows), series), pa.uint32())]
            columns.append(pa.array(60_000_000 * rows, pa.int64()))
            columns += [pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), part.shape[1]) for part in parts]
            writer.write_batch(pa.record_batch(columns, schema=schema))
    return path


@pytest.fixture
def make_windows(tmp_path: Path) -> Callable[..., Windows]:
    """A function that writes segments and opens their windows."""

    def make(
        segments: list[np.ndarray],
        *,
        name: str = "train",
        num_covariates: int = 0,
        compression: str | None = None,
        look_back: int = 8,
        horizon: int = 4,
        stride: int = 1,
    ) -> Windows:
        path = tmp_path / f"{name}.arrow"
        write_segments(path, segments, num_covariates=num_covariates, compression=compression)
        return open_windows(path, look_back=look_back, horizon=horizon, stride=stride)

    return make
