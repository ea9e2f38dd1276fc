"""How far registered detectors' forecasts are off the test rows, each by its own look-back and its own scales.

Every version reads the raw rows and is measured against them, so that models of other days, with other scales and
other policies for missing numbers, are compared in one unit and on the same truth.
N rows, C channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.kinds.detect.forecasting import forecast_some
from tasks.kinds.detect.holdout import DetectionHoldout
from tasks.kinds.detect.served_detector import SeriesDetector
from tasks.kinds.forecast.scoring import ERRORS, ForecastScores, tabulate_errors
from tasks.panel.frames import ROWS_FILE, TRAIN
from tasks.promotion import scoring
from tasks.registry.registered_model import RegisteredModel


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
    return DetectionScores(
        version=model.version,
        undefined=scoring.ScoredSummary.of(artefact).undefined,
        errors=pl.read_parquet(artefact.file("errors.parquet")),
        error_unit=holdout.error_unit,
    )


def write_errors(folder: Path, *, parts: Path, holdout: DetectionHoldout) -> scoring.ScoredSummary:
    """Fill the artefact's folder: `errors.parquet`, as in ERRORS."""
    detector = SeriesDetector.load(parts)
    rows = pl.scan_parquet(holdout.splits.file(ROWS_FILE))
    scored = rows.filter(pl.col("row").is_in(holdout.origins.tolist())).select("series")
    whole = rows.join(scored.unique(), on="series", how="semi", maintain_order="left").collect()
    tables = measure_errors(detector, whole.partition_by("series", maintain_order=True), holdout)
    errors = pl.concat([ERRORS.to_frame(), *tables])
    errors.write_parquet(folder / "errors.parquet")
    undefined = errors.filter(~pl.col("mae").is_finite())["row"].n_unique()
    return scoring.ScoredSummary(rows=errors["row"].n_unique(), undefined=undefined)


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
