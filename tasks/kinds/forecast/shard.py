"""Scaled rows to gap-free segments that windows are views of: what stage `shard` does for time series.

One Arrow file per split; each record batch is one segment of one series, stored once however many windows lie in it.
Segments of validation and test rows begin with the rows before the cut that their first window looks back on.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import Field

from rnnmodels.config import Settings
from tasks.errors import InputError, plural
from tasks.kinds.forecast.fitting_windows import fit_windows
from tasks.kinds.forecast.stored_windows import as_segment
from tasks.kinds.forecast.summaries import ScaledSummary, WindowsSummary
from tasks.panel.frames import KNOWN, ROWS_FILE, SPLITS, VALUES, read_windows
from tasks.panel.holes import find_holes
from tasks.panel.time_grid import TimeGrid
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact


class WindowSettings(Settings):
    """What a window is, and how far apart windows begin."""

    look_back: int = Field(96, ge=1, le=1_000_000, description="Steps that a model reads.")
    horizon: int = Field(24, ge=1, le=1_000_000, description="Steps that it forecasts.")
    stride: int = Field(1, ge=1, le=1_000_000, description="Stride of training windows, in steps.")
    evaluation_stride: int = Field(1, ge=1, le=1_000_000, description="Stride of validation and test windows.")
    season: int = Field(0, ge=0, le=1_000_000, description="Season length; 0 derives it from the frequency.")

    @property
    def num_rows(self) -> int:
        """Rows of a window."""
        return self.look_back + self.horizon

    def count_windows(self, num_rows: int, split: str) -> int:
        """Windows in a segment of that many rows."""
        stride = self.stride if split == "train" else self.evaluation_stride
        return max(0, (num_rows - self.num_rows) // stride + 1)


class Segment(NamedTuple):
    """Consecutive rows [start, stop) of a frame that belong to a split, context included."""

    split: int
    start: int
    stop: int


@dataclass
class Tally:
    """What a split's file holds, and what was too short for it."""

    segments: int = 0
    rows: int = 0
    windows: int = 0
    short_segments: int = 0
    short_rows: int = 0
    longest: int = 0


def write_shards(folder: Path, *, encoded: Artefact, settings: WindowSettings) -> WindowsSummary:
    """Write `train.arrow`, `valid.arrow`, `test.arrow`, and `shards.json` that describes them.

    Raises InputError (E-SER-012) for a split in which no window fits.
    """
    path, found = encoded.file(ROWS_FILE), ScaledSummary.of(encoded)
    grid, ids = found.grid, list_series(path)
    tallies = _write_segments(folder, path, settings, grid, ids)
    for split, tally in tallies.items():
        if not tally.windows:
            raise _too_short(split, tally, settings, path, grid)
    layout: dict[str, Any] = _describe(tallies, settings) | {
        "channels": found.channels,
        "covariates": found.covariates,
        "series": ids,
        "season": settings.season or grid.season,
    }
    (folder / "shards.json").write_text(json.dumps(layout, indent=1), encoding="utf-8")
    return WindowsSummary(
        **{name: value for name, value in layout.items() if name not in ("series", "files")},
        rows=sum(tally.rows for tally in tallies.values()),
        series=len(ids),
        segments={split: tally.segments for split, tally in tallies.items()},
        windows={split: tally.windows for split, tally in tallies.items()},
        left_out={split: {"segments": t.short_segments, "rows": t.short_rows} for split, t in tallies.items()},
        grid=grid,
        warnings=_warnings(tallies, settings),
    )


def list_series(path: Path) -> list[str]:
    """Ids of all series: those of the training rows in order, then those that begin later.

    So series that appear after the cut do not renumber those before.
    """
    begins = pl.scan_parquet(path).group_by("series").agg(pl.col("split").min()).collect(engine="streaming")
    return begins.sort("split", "series")["series"].to_list()


def find_segments(rows: pl.DataFrame, positions: np.ndarray, look_back: int) -> Iterator[Segment]:
    """Yield the gap-free segments of each split in a frame of whole series, sorted by series and time."""
    splits = rows["split"].to_numpy()
    is_new_series = (rows["series"] != rows["series"].shift()).fill_null(True).to_numpy()
    is_cut = is_new_series | (np.diff(positions, prepend=positions[:1]) != 1)
    starts = np.flatnonzero(is_cut)
    for run_start, run_stop in zip(starts, [*starts[1:], rows.height], strict=True):
        run = splits[run_start:run_stop]
        for split in np.unique(run):
            first, after = np.searchsorted(run, [split, split + 1])
            context = look_back if split else 0
            yield Segment(int(split), int(run_start + max(0, first - context)), int(run_start + after))


def _write_segments(
    folder: Path, path: Path, settings: WindowSettings, grid: TimeGrid, ids: list[str]
) -> dict[str, Tally]:
    tallies = {name: Tally() for name in SPLITS}
    numbers = {name: number for number, name in enumerate(ids)}
    with contextlib.ExitStack() as stack:
        writers: dict[str, pa.ipc.RecordBatchFileWriter] = {}
        for rows in read_windows(path):
            columns = _as_arrays(rows, numbers)
            for name in SPLITS if not writers else ():
                sink = stack.enter_context(pa.OSFile(str(folder / f"{name}.arrow"), "wb"))
                writers[name] = stack.enter_context(pa.ipc.new_file(sink, _as_batch(columns, slice(0)).schema))
            positions = grid.number_rows(rows).to_numpy()
            for segment in find_segments(rows, positions, settings.look_back):
                split, num_rows = SPLITS[segment.split], segment.stop - segment.start
                if _count(tallies[split], num_rows, settings.count_windows(num_rows, split)):
                    writers[split].write_batch(_as_batch(columns, slice(segment.start, segment.stop)))
            emit(Progress(stage="shard", done=sum(tally.rows for tally in tallies.values())))
    return tallies


def _count(tally: Tally, num_rows: int, num_windows: int) -> bool:
    """Enter a segment, and tell whether a window fits."""
    tally.longest = max(tally.longest, num_rows)
    if num_windows:
        tally.segments, tally.rows = tally.segments + 1, tally.rows + num_rows
        tally.windows += num_windows
    else:
        tally.short_segments, tally.short_rows = tally.short_segments + 1, tally.short_rows + num_rows
    return num_windows > 0


def _as_arrays(rows: pl.DataFrame, numbers: dict[str, int]) -> dict[str, np.ndarray]:
    """Columns of a shard: row, series, time, values [rows, C], and covariates [rows, D] if there are any."""
    scalars = {
        "row": rows["row"].to_numpy(),
        "series": rows["series"].replace_strict(numbers, return_dtype=pl.UInt32).to_numpy(),
        "time": rows["time"].cast(pl.Int64).to_numpy(),
    }
    tables = {"values": rows.select(VALUES), "covariates": rows.select(KNOWN)}
    return scalars | {name: table.to_numpy(order="c") for name, table in tables.items() if table.width}


def _as_batch(columns: dict[str, np.ndarray], rows: slice) -> pa.RecordBatch:
    # A slice of an Arrow table would be padded in the file with the rows that follow it, be they of another split.
    return as_segment({name: numbers[rows] for name, numbers in columns.items()})


def _describe(tallies: dict[str, Tally], settings: WindowSettings) -> dict:
    """The lengths and strides of windows, and what each file holds."""
    files = [
        {"split": split, "file": f"{split}.arrow", "segments": t.segments, "rows": t.rows, "windows": t.windows}
        for split, t in tallies.items()
    ]
    lengths = ("look_back", "horizon", "stride", "evaluation_stride")
    return {name: getattr(settings, name) for name in lengths} | {"files": files}


def _find_fitting(path: Path, grid: TimeGrid, settings: WindowSettings) -> WindowSettings | None:
    """Shorter windows of which every split holds one; None where no two steps of it hang together."""
    longest = _measure_longest(path, grid, look_back=0)
    found = fit_windows(longest, look_back=settings.look_back, horizon=settings.horizon)
    if found is None:
        return None
    look_back, horizon = found
    fitting = settings.model_copy(update={"look_back": look_back, "horizon": horizon})
    within = _measure_longest(path, grid, look_back=look_back)
    return fitting if min(within.values()) >= fitting.num_rows else None


def _measure_longest(path: Path, grid: TimeGrid, *, look_back: int) -> dict[str, int]:
    """Rows of the longest segment of each split, with the rows that its first window looks back on."""
    longest = dict.fromkeys(SPLITS, 0)
    for rows in read_windows(path):
        for segment in find_segments(rows, grid.number_rows(rows).to_numpy(), look_back):
            name = SPLITS[segment.split]
            longest[name] = max(longest[name], segment.stop - segment.start)
    return longest


def _too_short(split: str, tally: Tally, settings: WindowSettings, path: Path, grid: TimeGrid) -> InputError:
    fitting = _find_fitting(path, grid, settings)
    holes = find_holes(pl.read_parquet(path, columns=["series", "time"]), grid)
    remedies = [holes.remedy] if holes and (holes.are_regular or fitting is None) else []
    if fitting is not None:
        remedies.append(f"set shard.look_back = {fitting.look_back} and shard.horizon = {fitting.horizon}, or less")
    context = "" if split == "train" else " (rows looked back on included)"
    return InputError(
        "E-SER-012",
        f"no window fits into the {split} rows: it takes look_back + horizon = {settings.num_rows} rows without a gap, "
        f"and the longest of {plural(tally.short_segments, 'segment')}{context} has {tally.longest}"
        f"{f'; {holes.said}' if holes else ''}.",
        fix="; or ".join([*remedies, "move the cuts of the split, or add rows."]),
    )


def _warnings(tallies: dict[str, Tally], settings: WindowSettings) -> list[str]:
    return [
        f"left out {plural(tally.short_segments, 'segment')} of the {split} rows ({plural(tally.short_rows, 'row')}) "
        f"that cannot hold look_back + horizon = {settings.num_rows} rows"
        for split, tally in tallies.items()
        if tally.short_segments
    ]
