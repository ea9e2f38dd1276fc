"""Levels to segments that windows are views of: what stage `shard` does for detectors.

`train.arrow` and `valid.arrow` hold the warm-up of each series; in `judged.arrow` a window ends with every row, since
the evidence on a row is weighed against the evidence on those before. Rows before a series' first are copies of it:
before its first row a series is taken to have stood still.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from rnnmodels.config import Settings
from tasks.errors import InputError
from tasks.kinds.detect.encode import LEVELS_FILE, SCALES_FILE
from tasks.kinds.detect.levels import LevelScaler
from tasks.kinds.detect.panel import LevelSeries, Stretch, write_stretches
from tasks.panel.frames import TEST, TRAIN, VALID
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary

LAYOUT_FILE = "shards.json"


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
    parts = pl.read_parquet(encoded.file(LEVELS_FILE)).partition_by("series", maintain_order=True)
    panel = list(_read_panel(parts, scaler))
    stretches = {name: list(_cut(panel, parts, name, settings)) for name in ("train", "valid", "judged")}
    windows = {name: _count_windows(name, cut, settings) for name, cut in stretches.items()}
    for name, count in windows.items():
        if not count:
            raise _too_short(name, panel, parts, settings)
    for name, cut in stretches.items():
        write_stretches(folder / f"{name}.arrow", cut)
    emit(Progress(stage="shard", done=windows["judged"], total=windows["judged"], finished=True))
    layout: dict[str, Any] = {
        **settings.model_dump(),
        "channels": list(scaler.channels),
        "covariates": panel[0].calendar.shape[1],
        "series": [
            {"name": part["series"][0], "rows": one.num_rows, "warm_up": one.warm_up_rows}
            for part, one in zip(parts, panel, strict=True)
        ],
    }
    (folder / LAYOUT_FILE).write_text(json.dumps(layout, indent=1), encoding="utf-8")
    return Summary(
        rows=windows["judged"],
        windows=windows,
        series=len(panel),
        **{name: layout[name] for name in ("channels", "look_back", "horizon")},
    )


def _read_panel(parts: list[pl.DataFrame], scaler: LevelScaler) -> list[LevelSeries]:
    first_rows = np.cumsum([0, *(part.height for part in parts)])
    return [
        LevelSeries(
            number=number,
            first_row=int(first_rows[number]),
            times=part["time"].cast(pl.Int64).to_numpy(),
            levels=part.select(f"level.{channel}" for channel in scaler.channels).to_numpy(order="c"),
            calendar=scaler.describe_times(part["time"]),
            warm_up_rows=int((part["split"] != TEST).sum()),
        )
        for number, part in enumerate(parts)
    ]


def _cut(
    panel: list[LevelSeries], parts: list[pl.DataFrame], name: str, settings: DetectionWindowSettings
) -> list[Stretch]:
    """The stretch of each series that a file holds, if a window fits into it."""
    stretches = []
    for series, part in zip(panel, parts, strict=True):
        cut = int((part["split"] == TRAIN).sum())
        start, stop = {
            "train": (-settings.look_back, cut),
            "valid": (cut - settings.look_back, series.warm_up_rows),
            "judged": (1 - settings.look_back - settings.horizon, series.num_rows),
        }[name]
        if stop - start >= settings.look_back + settings.horizon:
            stretches.append(Stretch(series, start, stop))
    return stretches


def _count_windows(name: str, stretches: list[Stretch], settings: DetectionWindowSettings) -> int:
    stride = {"train": settings.stride, "valid": settings.evaluation_stride, "judged": 1}[name]
    num_rows = settings.look_back + settings.horizon
    return sum((cut.stop - cut.start - num_rows) // stride + 1 for cut in stretches)


def _too_short(
    name: str, panel: list[LevelSeries], parts: list[pl.DataFrame], settings: DetectionWindowSettings
) -> InputError:
    longest = max(series.warm_up_rows for series in panel)
    fitting = min(max(int((part["split"] == which).sum()) for part in parts) for which in (TRAIN, VALID))
    return InputError(
        "E-SER-012",
        f"no {name} window fits: it takes shard.horizon = {settings.horizon} rows of that part of a warm-up, and the "
        f"longest warm-up has {longest} rows in all.",
        fix=f"set shard.horizon = {fitting} or less; or raise split.warm_up or split.max_warm_up_rows, or provide "
        "longer series.",
    )
