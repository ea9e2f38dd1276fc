"""Shards of small series, written in the format of the stage `shard`."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks import store
from tasks.store import Artefact

Segments = Sequence[tuple[int, int, np.ndarray]]  # series, time of the first row, values [rows, channels]


@pytest.fixture
def make_shards(project: Path) -> Callable[..., Artefact]:
    """Store segments as shards: `make_shards({"train": [(series, first time, values), ...], ...}, look_back=...)`."""

    def make(
        splits: Mapping[str, Segments], *, look_back: int, horizon: int, season: int = 1, stride: int = 1
    ) -> Artefact:
        channels = [f"c{index}" for index in range(splits["train"][0][2].shape[1])]
        series = sorted({f"s{one[0]}" for segments in splits.values() for one in segments})
        layout = {
            "look_back": look_back, "horizon": horizon, "stride": 1, "evaluation_stride": stride, "season": season,
            "channels": channels, "covariates": [], "series": series,
        }  # fmt: skip

        def write(folder: Path) -> dict:
            for split, segments in splits.items():
                write_segments(folder / f"{split}.arrow", segments)
            (folder / "shards.json").write_text(json.dumps(layout))
            grid = {"frequency": "1", "clock": "step", "zone": None, "anchor": 0}
            return {"rows": 1, "grid": grid}

        config = {**layout, "content": [_content_of(one[2]) for segments in splits.values() for one in segments]}
        return store.build("shard", write, module="tasks.store", config=config)

    return make


@pytest.fixture
def make_artefact(project: Path) -> Callable[..., Artefact]:
    """Store arrays (.npy) and JSON values under their file names, with a summary."""

    def make(stage: str, files: Mapping[str, object], **summary: object) -> Artefact:
        def write(folder: Path) -> dict:
            for name, content in files.items():
                if isinstance(content, np.ndarray):
                    np.save(folder / name, content)
                else:
                    (folder / name).write_text(json.dumps(content))
            return {"rows": 1, **summary}

        config = {name: _content_of(content) for name, content in files.items()}
        return store.build(stage, write, module="tasks.store", config={**config, **summary})

    return make


def _content_of(value: object) -> object:
    return hashlib.sha256(value.tobytes()).hexdigest() if isinstance(value, np.ndarray) else value


def write_segments(path: Path, segments: Segments) -> None:
    channels = segments[0][2].shape[1]
    schema = pa.schema(
        [
            ("row", pa.uint32()),
            ("series", pa.uint32()),
            ("time", pa.int64()),
            ("values", pa.list_(pa.float32(), channels)),
        ]
    )
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for series, first, values in segments:
            rows = len(values)
            flat = pa.array(values.astype(np.float32).ravel())
            columns = [
                pa.array(np.arange(rows), pa.uint32()),
                pa.array(np.full(rows, series), pa.uint32()),
                pa.array(np.arange(first, first + rows), pa.int64()),
                pa.FixedSizeListArray.from_arrays(flat, channels),
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
