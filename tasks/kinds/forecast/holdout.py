"""Test windows on which forecasters are compared: evenly spaced in time, and only as many as add information."""

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tasks.contract.lineage import Lineage
from tasks.kinds.forecast.stored_windows import open_split, read_layout
from tasks.kinds.forecast.summaries import CutSummary
from tasks.panel.frames import ROWS_FILE, TEST
from tasks.panel.scaler import OwnScales, Scaler
from tasks.panel.time_grid import TimeGrid
from tasks.promotion.scoring import Holdout
from tasks.statistics.resampling import ResamplingPlan, plan_resampling
from tasks.store.artefacts import Artefact
from tasks.store.fingerprint import digest_of

if TYPE_CHECKING:
    from rnnmodels.forecasters.windows import Windows

# Windows that begin close to each other share most of their targets, so that more of them cost time and tell little.
MAX_WINDOWS = 5_000
MAX_PARTS = 4


@dataclass(frozen=True, kw_only=True)
class ForecastHoldout(Holdout):
    """Test windows of a challenger, given by the rows in which their histories end; the digest is that of the rows.

    `stride` counts the steps from one window to the next; errors are counted in the units of `scaler`.
    """

    unit: str = "windows"

    splits: Artefact
    origins: np.ndarray
    horizon: int
    stride: int
    channels: tuple[str, ...]
    scaler: Scaler

    @property
    def rows(self) -> int:
        """Number of windows."""
        return len(self.origins)

    @cached_property
    def grid(self) -> TimeGrid:
        """The grid of the rows."""
        return CutSummary.of(self.splits).grid

    @cached_property
    def edges(self) -> np.ndarray:
        """The step with which each part of the horizon begins, counted from 0, and the horizon last."""
        return np.linspace(0, self.horizon, min(MAX_PARTS, self.horizon) + 1).astype(np.int64)

    @cached_property
    def error_unit(self) -> dict[str, float | str]:
        """How much of the source's units one unit of an error is, by channel; a digest where series have their own."""
        columns = {name: f"value.{name}" for name in self.channels}
        own = self.scaler.own or OwnScales(columns=(), series={})
        return {
            name: digest_of({one: scale.scale for one, scale in own.of(column)})
            if column in own.columns
            else self.scaler.columns[column].scale
            for name, column in columns.items()
        }

    def plan_resampling(self, windows: pl.DataFrame) -> ResamplingPlan:
        """Say which windows, given by series and time, tell something of their own."""
        series, times = windows["series"].rank("dense").to_numpy(), windows["time"].to_numpy()
        return plan_resampling(series, times, horizon=self.horizon, stride=self.stride)

    @property
    def windows_digest(self) -> str:
        """SHA-256 of which windows are forecast, and of the unit of errors."""
        origins = hashlib.sha256(self.origins.tobytes()).hexdigest()
        return digest_of({"origins": origins, "horizon": self.horizon, "scales": self.error_unit})


def read_holdout(lineage: Lineage) -> ForecastHoldout:
    """Choose among the test windows that a challenger was evaluated on; its scaler gives the unit of errors."""
    layout, windows = read_layout(lineage.shards), open_split(lineage.shards, "test")
    stride = space_out(windows.num_rows, stride=windows.stride, season=layout["season"])
    scaler = Scaler.from_dict(json.loads(lineage.encoded.file("scaler.json").read_bytes()))
    rows = digest_rows(pl.scan_parquet(lineage.splits.file(ROWS_FILE)).filter(split=TEST))
    return ForecastHoldout(
        digest=digest_of({"rows": rows, "horizon": layout["horizon"]}),
        splits=lineage.splits,
        origins=choose_origins(windows, CutSummary.of(lineage.splits).grid, stride),
        horizon=layout["horizon"],
        stride=stride,
        channels=tuple(layout["channels"]),
        scaler=scaler,
    )


def space_out(num_windows: int, *, stride: int, season: int) -> int:
    """Steps from one window to the next so that few enough are left, and not all at the same place of the season."""
    thinning = max(1, math.ceil(num_windows / MAX_WINDOWS))
    while thinning > 1 and math.gcd(stride * thinning, season) > math.gcd(stride, season):
        thinning += 1
    return stride * thinning


def choose_origins(windows: "Windows", grid: TimeGrid, stride: int) -> np.ndarray:
    """Rows in which the histories of windows `stride` steps apart end, sorted; of very many series some are left out.

    Series that have the same times are taken at the same times.
    """
    origins = windows.origins(np.arange(windows.num_rows))
    positions = grid.positions(pl.Series(np.asarray(origins.time)).cast(grid.dtype)).to_numpy()
    # Whatever step a segment begins with, one of its windows begins in each such stretch.
    chosen = (positions - positions.min()) % stride < windows.stride
    every = max(1, np.count_nonzero(chosen) // MAX_WINDOWS)
    return np.sort(origins.row[chosen & (origins.series % every == 0)])


def digest_rows(rows: pl.LazyFrame) -> str:
    """SHA-256 of rows in their order, whatever their numbers in the source and the layout of the file."""
    names = [name for name in rows.collect_schema() if name not in ("row", "split")]
    return digest_of({name: digest_column(rows.select(name).collect()[name]) for name in names})


def digest_column(column: pl.Series) -> str:
    """SHA-256 of names or numbers in their order."""
    if column.dtype == pl.String:
        runs = column.rle().struct.unnest()
        return digest_of([runs["value"].to_list(), runs["len"].to_list()])
    numbers = column.fill_null(math.nan) if column.dtype.is_float() else column.cast(pl.Int64)
    return hashlib.sha256(numbers.to_numpy().tobytes()).hexdigest()
