"""Test rows on which detectors are compared: evenly spaced in each series, and only as many as add information."""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.contract.lineage import Lineage
from tasks.kinds.detect.encode import SCALES_FILE
from tasks.kinds.detect.levels import LevelScaler
from tasks.kinds.forecast.holdout import MAX_WINDOWS, digest_column, space_out
from tasks.kinds.forecast.stored_windows import read_layout
from tasks.panel.frames import ROWS_FILE, TEST, VALUES
from tasks.promotion.scoring import Holdout
from tasks.statistics.resampling import ResamplingPlan, plan_resampling
from tasks.store.artefacts import Artefact
from tasks.store.fingerprint import digest_of

# How many rows make a day nobody knows; steps without the factors of hours, days and weeks meet all their hours.
CALENDAR_FACTORS = 2 * 3 * 5 * 7


@dataclass(frozen=True, kw_only=True)
class DetectionHoldout(Holdout):
    """Test rows of a challenger, given by their numbers in the source; the digest is that of all its test rows.

    `stride` counts the rows of a series from one to the next. Errors are counted in levels of `scaler`.
    """

    unit: ClassVar[str] = "windows"  # that end with the rows
    edges: ClassVar[NDArray[np.int64]] = np.array([0, 1])  # one row of the horizon is forecast, which is one part

    splits: Artefact
    origins: NDArray[np.uint32]
    horizon: int
    stride: int
    scaler: LevelScaler

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.origins)

    @cached_property
    def error_unit(self) -> dict[str, str]:
        """The unit of errors: SHA-256 of the scales by which values become levels."""
        return {"scales": digest_of(self.scaler.to_dict()["series"])}

    @property
    def origins_digest(self) -> str:
        """SHA-256 of which rows are forecast, how far ahead, and of the unit of errors."""
        return digest_of({"origins": self.origins.tolist(), "horizon": self.horizon, **self.error_unit})

    def plan_resampling(self, windows: pl.DataFrame) -> ResamplingPlan:
        """Say which rows, given by series and time, tell something of their own.

        Rows of a series closer than the horizon share a past. Series may have times of their own, so what lies between
        such rows is counted in times of the whole panel.
        """
        rows_apart = math.ceil(self.horizon / self.stride)
        ranked = windows.select("series", rank=pl.col("time").rank("dense").cast(pl.Int64)).sort("series", "rank")
        spans = ranked.select((pl.col("rank").shift(-rows_apart) - pl.col("rank")).over("series")).to_series()
        known = spans.drop_nulls().to_numpy()
        overlap = math.ceil(np.median(known) if known.size else ranked["rank"].to_numpy().max())
        series, times = windows["series"].rank("dense").to_numpy(), windows["time"].to_numpy()
        return plan_resampling(series, times, horizon=max(1, overlap), stride=1)


def read_holdout(lineage: Lineage) -> DetectionHoldout:
    """Choose among the test rows that a challenger was evaluated on; its scales give the unit of errors."""
    scaler = LevelScaler.from_dict(json.loads(lineage.encoded.file(SCALES_FILE).read_bytes()))
    test = pl.scan_parquet(lineage.splits.file(ROWS_FILE)).filter(pl.col("split") == TEST)
    test = test.filter(pl.col("series").is_in(list(scaler.series))).select("row", "series", "time", VALUES).collect()
    stride = space_out(test.height, stride=1, season=CALENDAR_FACTORS)
    horizon = read_layout(lineage.shards)["horizon"]
    rows = {column.name: digest_column(column) for column in test.drop("row")}
    return DetectionHoldout(
        digest=digest_of({"rows": rows, "horizon": horizon}),
        splits=lineage.splits,
        origins=choose_origins(test, stride),
        horizon=horizon,
        stride=stride,
        scaler=scaler,
    )


def choose_origins(test: pl.DataFrame, stride: int) -> NDArray[np.uint32]:
    """Rows `stride` apart in each series, sorted, its last among them; of very many series some are left out.

    Series that end together are taken at the same times.
    """
    from_end = pl.int_range(pl.len(), 0, -1).over("series") - 1
    chosen = test.filter(from_end % stride == 0)
    every = max(1, chosen.height // MAX_WINDOWS)
    kept = chosen.filter((pl.col("series").rank("dense").cast(pl.Int64) - 1) % every == 0)
    return kept["row"].sort().to_numpy()
