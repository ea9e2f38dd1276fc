"""How far registered detectors' forecasts are off the test rows, each by its own look-back and its own scales.

Every version reads the raw rows and is measured against them, so that models of other days, with other scales and
other policies for missing numbers, are compared in one unit and on the same truth.
N rows, L steps of look-back, H steps of the horizon, T = L + H, C channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.detection.forecasting import ROWS_AT_ONCE, forecast_last
from tasks.detection.holdout import DetectionHoldout
from tasks.detection.levels import LevelScaler
from tasks.detection.served_detector import SeriesDetector
from tasks.detection.splitting import TRAIN
from tasks.promotion import scoring
from tasks.registry import RegisteredModel
from tasks.series.frames import ROWS_FILE
from tasks.series.scoring import ERRORS, ForecastScores, tabulate_errors


@dataclass(frozen=True, kw_only=True)
class DetectionScores(ForecastScores):
    """One detector's forecaster on a holdout: a table as in ERRORS, and what tells the unit of these."""

    scales: dict[str, str]

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
    return DetectionScores(
        version=model.version,
        undefined=artefact.summary["undefined"],
        errors=pl.read_parquet(artefact.file("errors.parquet")),
        scales=holdout.scales,
    )


def write_errors(folder: Path, *, parts: Path, holdout: DetectionHoldout) -> dict:
    """Fill the artefact's folder: `errors.parquet`, as in ERRORS."""
    detector = SeriesDetector.load(parts)
    rows = pl.scan_parquet(holdout.splits.file(ROWS_FILE))
    scored = rows.filter(pl.col("row").is_in(holdout.origins.tolist())).select("series")
    whole = rows.join(scored.unique(), on="series", how="semi", maintain_order="left").collect()
    tables = measure_errors(detector, whole.partition_by("series", maintain_order=True), holdout)
    errors = pl.concat([ERRORS.to_frame(), *tables])
    errors.write_parquet(folder / "errors.parquet")
    undefined = errors.filter(~pl.col("mae").is_finite())["row"].n_unique()
    return {"rows": errors["row"].n_unique(), "undefined": undefined}


def measure_errors(
    detector: SeriesDetector, panel: list[pl.DataFrame], holdout: DetectionHoldout
) -> Iterator[pl.DataFrame]:
    """Forecast the rows of a holdout, given whole series; yields tables as in ERRORS.

    The scales of a series that a detector does not know are those of the training rows that it would have had.
    """
    unit, channels = holdout.scaler, holdout.scaler.channels
    for rows in panel:
        series = rows["series"][0]
        own = detector.scaler
        if not own.knows(series):
            own = own.with_series(series, rows.filter(pl.col("split") == TRAIN))
        at_N = np.flatnonzero(np.isin(rows["row"].to_numpy(), holdout.origins))
        forecasts_NC = own.values(series, forecast_some(detector, own, rows, at_N))
        known_NC = pl.DataFrame(forecasts_NC, schema=[f"value.{name}" for name in own.channels])
        said_NC, truth_NC = (unit.levels(series, unit.values_of(one)) for one in (known_NC, rows[at_N]))
        # From here on NaN means that the truth is missing.
        defined_NC = np.where(np.isfinite(said_NC), said_NC, np.inf)
        error_NHC = (defined_NC.astype(np.float64) - truth_NC)[:, None, :]
        yield tabulate_errors(error_NHC, rows[at_N], channels, holdout.edges)


def forecast_some(
    detector: SeriesDetector, scaler: LevelScaler, rows: pl.DataFrame, at_N: NDArray[np.int64]
) -> NDArray[np.float32]:
    """What a detector expected of some rows of a series, given by their positions, as levels of a scaler (N, C)."""
    filled, shape = scaler.fill(rows), detector.model.shape
    levels_NC = scaler.levels(rows["series"][0], scaler.values_of(filled))
    calendar_ND = scaler.describe_times(rows["time"])
    forecasts_NC = np.empty((len(at_N), len(scaler.channels)), np.float32)
    for start in range(0, len(at_N), ROWS_AT_ONCE):
        chosen = slice(start, start + ROWS_AT_ONCE)
        # Before its first row a series is taken to have stood still.
        steps_NT = np.maximum(at_N[chosen, None] + np.arange(1 - shape.num_steps, 1), 0)
        history_NLC = levels_NC[steps_NT[:, : shape.look_back]]
        forecasts_NC[chosen] = forecast_last(detector.model, history_NLC, calendar_ND[steps_NT])
    return forecasts_NC
