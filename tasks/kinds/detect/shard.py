"""Levels to segments that windows are views of: what stage `shard` does for detectors.

`train.arrow` and `valid.arrow` hold the warm-up of each series; in `judged.arrow` a window ends with every row, since
the evidence on a row is weighed against the evidence on those before. Rows before a series' first are copies of it:
before its first row a series is taken to have stood still. Rows are steps, however much time lies between them: what a
forecaster must know of time, it reads from the calendar.
Shapes: N rows, C channels, D features of the calendar.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from rnnmodels.config import Settings
from tasks.errors import InputError
from tasks.kinds.detect.encode import LEVELS_FILE, SCALES_FILE
from tasks.kinds.detect.levels import LevelScaler
from tasks.kinds.forecast.stored_windows import as_segment
from tasks.panel.frames import TEST, TRAIN
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary

LAYOUT_FILE = "shards.json"


@dataclass(frozen=True, kw_only=True)
class LevelSeries:
    """A series' rows as segments have them, how many of them train, and how many are taken to be ordinary."""

    name: str
    columns: dict[str, NDArray]
    num_rows: int
    train_rows: int
    warm_up_rows: int

    def cut(self, start: int, stop: int) -> pa.RecordBatch:
        """Rows `start` to before `stop`; rows before its first are copies of the first."""
        rows = np.maximum(np.arange(start, stop), 0)
        return as_segment({name: column[rows] for name, column in self.columns.items()})


class DetectionWindowSettings(Settings):
    """How far back a forecaster looks, and how far ahead it forecasts the row that is judged."""

    look_back: int = Field(144, ge=1, le=1_000_000, description="Rows that a forecaster reads.")
    horizon: int = Field(
        144,
        ge=1,
        le=1_000_000,
        description="How many rows ahead a row is forecast. Far ahead, because a one-step forecaster follows an "
        "anomaly at once and takes its end for another.",
    )
    stride: int = Field(1, ge=1, le=1_000_000, description="Stride of training windows, in rows.")
    evaluation_stride: int = Field(1, ge=1, le=1_000_000, description="Stride of validation windows, in rows.")


def write_shards(folder: Path, *, encoded: Artefact, settings: DetectionWindowSettings) -> Summary:
    """Write `train.arrow`, `valid.arrow`, `judged.arrow`, and `shards.json` that describes them.

    Raises InputError (E-SER-012) if no training or no validation window fits into a warm-up.
    """
    scaler = LevelScaler.from_dict(json.loads(encoded.file(SCALES_FILE).read_bytes()))
    panel = list(_read_panel(pl.read_parquet(encoded.file(LEVELS_FILE)), scaler))
    windows = {name: _write_segments(folder, name, panel, settings) for name in ("train", "valid", "judged")}
    emit(Progress(stage="shard", done=windows["judged"], total=windows["judged"], finished=True))
    layout: dict[str, Any] = {
        **settings.model_dump(),
        "channels": list(scaler.channels),
        "covariates": 2 * len(scaler.calendar),
        "series": [{"name": one.name, "rows": one.num_rows, "warm_up": one.warm_up_rows} for one in panel],
    }
    (folder / LAYOUT_FILE).write_text(json.dumps(layout, indent=1), encoding="utf-8")
    return Summary(
        rows=windows["judged"],
        windows=windows,
        series=len(panel),
        **{name: layout[name] for name in ("channels", "look_back", "horizon")},
    )


def _read_panel(rows: pl.DataFrame, scaler: LevelScaler) -> Iterator[LevelSeries]:
    first_row = 0
    for number, part in enumerate(rows.partition_by("series", maintain_order=True)):
        columns = {
            "row": np.arange(first_row, first_row + part.height, dtype=np.uint32),
            "series": np.full(part.height, number, np.uint32),
            "time": part["time"].cast(pl.Int64).to_numpy(),
            "values": part.select(f"level.{channel}" for channel in scaler.channels).to_numpy(order="c"),
        }
        yield LevelSeries(
            name=part["series"][0],
            columns=columns | ({"covariates": scaler.describe_times(part["time"])} if scaler.calendar else {}),
            num_rows=part.height,
            train_rows=int((part["split"] == TRAIN).sum()),
            warm_up_rows=int((part["split"] != TEST).sum()),
        )
        first_row += part.height


def _write_segments(folder: Path, name: str, panel: Sequence[LevelSeries], settings: DetectionWindowSettings) -> int:
    """Write the stretch of each series that a file holds, if a window fits into it; returns the number of windows."""
    num_rows, look_back = settings.look_back + settings.horizon, settings.look_back
    stride = {"train": settings.stride, "valid": settings.evaluation_stride, "judged": 1}[name]
    num_windows, segments = 0, []
    for series in panel:
        start, stop = {
            "train": (-look_back, series.train_rows),
            "valid": (series.train_rows - look_back, series.warm_up_rows),
            "judged": (1 - num_rows, series.num_rows),
        }[name]
        if stop - start >= num_rows:
            segments.append(series.cut(start, stop))
            num_windows += (stop - start - num_rows) // stride + 1
    if not segments:
        raise _too_short(name, panel, settings)
    with pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink, pa.ipc.new_file(sink, segments[0].schema) as writer:
        for segment in segments:
            writer.write_batch(segment)
    return num_windows


def _too_short(name: str, panel: Sequence[LevelSeries], settings: DetectionWindowSettings) -> InputError:
    longest = max(series.warm_up_rows for series in panel)
    fitting = min(
        max(series.train_rows for series in panel), max(series.warm_up_rows - series.train_rows for series in panel)
    )
    return InputError(
        "E-SER-012",
        f"no {name} window fits: it takes shard.horizon = {settings.horizon} rows of that part of a warm-up, and the "
        f"longest warm-up has {longest} rows in all.",
        fix=f"set shard.horizon = {fitting} or less; or raise split.warm_up or split.max_warm_up_rows, or provide "
        "longer series.",
    )
