"""How far registered detectors' forecasts are off the test rows, each by its own look-back and its own scales.

Test rows are evenly spaced in each series, and only as many as add information.
Every version reads the raw rows and is measured against them, so that models of other days, with other scales and
other policies for missing numbers, are compared in one unit and on the same truth.
N rows, C channels.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.contract.lineage import Lineage
from tasks.kinds.detect.encode import SCALES_FILE
from tasks.kinds.detect.forecasting import forecast_some
from tasks.kinds.detect.levels import LevelScaler
from tasks.kinds.detect.served_detector import SeriesDetector
from tasks.kinds.forecast.holdout import MAX_WINDOWS, digest_column, space_out
from tasks.kinds.forecast.scoring import ForecastScores, store_errors, tabulate_errors
from tasks.kinds.forecast.stored_windows import read_layout
from tasks.panel.frames import ROWS_FILE, TEST, TRAIN, VALUES
from tasks.promotion import scoring
from tasks.promotion.scoring import Holdout
from tasks.registry.registered_model import RegisteredModel
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

    unit: str = "windows"  # that end with the rows
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


@dataclass(frozen=True, kw_only=True)
class DetectionScores(ForecastScores):
    """One detector's forecaster on a holdout: a table as in ERRORS, and the `error_unit` of the holdout."""

    @property
    def headline(self) -> str:
        """The mean absolute error."""
        return f"MAE {self.figures['mae']:.4g}"


def score_model(model: RegisteredModel, holdout: DetectionHoldout) -> DetectionScores:
    """Return a version's errors on a holdout, from the store if it was scored there before.

    Raises IntegrityError (E-INT-001) if a file of the model is damaged, InputError (E-SER-009) if rows lack numbers
    and the version has no policy for that.
    """
    write = partial(write_errors, parts=model.parts, holdout=holdout)
    origin = {"splits": holdout.splits, "rows": holdout.origins_digest}
    artefact = scoring.build_scores(write, model, holdout, module=__name__, origin=origin)
    return DetectionScores.read(artefact, model, holdout.error_unit)


def write_errors(folder: Path, *, parts: Path, holdout: DetectionHoldout) -> scoring.ScoredSummary:
    """Fill the artefact's folder: `errors.parquet`, as in ERRORS."""
    detector = SeriesDetector.load(parts)
    rows = pl.scan_parquet(holdout.splits.file(ROWS_FILE))
    scored = rows.filter(pl.col("row").is_in(holdout.origins.tolist())).select("series")
    whole = rows.join(scored.unique(), on="series", how="semi", maintain_order="left").collect()
    panel = whole.partition_by("series", maintain_order=True)
    return store_errors(folder, measure_errors(detector, panel, holdout), "mae")


def measure_errors(
    detector: SeriesDetector, panel: list[pl.DataFrame], holdout: DetectionHoldout
) -> Iterator[pl.DataFrame]:
    """Forecast the rows of a holdout, given whole series; yields tables as in ERRORS."""
    unit = holdout.scaler
    for rows in panel:
        at_N = np.flatnonzero(np.isin(rows["row"].to_numpy(), holdout.origins))
        scored, said = rows[at_N], forecast_values(detector, rows, at_N)
        said_NC, truth_NC = (unit.levels(rows["series"][0], unit.values_of(one)) for one in (said, scored))
        # From here on NaN means that the truth is missing.
        defined_NC = np.where(np.isfinite(said_NC), said_NC, np.inf).astype(np.float64)
        yield tabulate_errors((defined_NC - truth_NC)[:, None, :], scored, unit.channels, holdout.edges)


def forecast_values(detector: SeriesDetector, rows: pl.DataFrame, positions: NDArray[np.int64]) -> pl.DataFrame:
    """What a detector expected of some rows of a series, in the units of the source: columns value.*.

    The scales of a series that it does not know are those of the training rows that it would have had.
    """
    series, scaler = rows["series"][0], detector.scaler
    if not scaler.knows(series):
        scaler = scaler.with_series(series, rows.filter(pl.col("split") == TRAIN))
    levels_NC = scaler.levels(series, scaler.values_of(scaler.fill(rows)))
    forecasts_NC = forecast_some(detector.model, levels_NC, scaler.describe_times(rows["time"]), positions)
    return pl.DataFrame(scaler.values(series, forecasts_NC), schema=[f"value.{name}" for name in scaler.channels])
