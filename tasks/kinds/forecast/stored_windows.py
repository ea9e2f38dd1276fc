"""The windows of a stored shard set, opened the way its description says."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from rnnmodels.forecasters.windows import Windows

TRAIN = "train"
SCORED_SPLITS = ("valid", "test")


def read_layout(shards: Artefact) -> dict:
    """Read what the stage `shard` says of its windows: sizes, strides, season, names of channels and series."""
    return json.loads(shards.file("shards.json").read_bytes())


def open_split(shards: Artefact, split: str) -> "Windows":
    """Map the verified windows of a split; those that are scored have a stride of their own."""
    from rnnmodels.forecasters.windows import open_windows

    layout = read_layout(shards)
    stride = layout["stride"] if split == TRAIN else layout["evaluation_stride"]
    return open_windows(
        shards.file(f"{split}.arrow"), look_back=layout["look_back"], horizon=layout["horizon"], stride=stride
    )


def as_segment(columns: Mapping[str, np.ndarray]) -> pa.RecordBatch:
    """One segment of a file of windows, given the columns of its rows: numbers, or as many of them for each row."""
    return pa.record_batch({name: _as_column(numbers) for name, numbers in columns.items()})


def _as_column(numbers: np.ndarray) -> pa.Array:
    flat = pa.array(numbers.reshape(-1))
    return flat if numbers.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, numbers.shape[1])
