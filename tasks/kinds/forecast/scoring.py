"""How far registered forecasters are off the test rows, each with its own look-back and scaled in its own way.

Every version reads the raw rows and is measured against them, so that models of other days, with other scalers and
other policies for missing numbers, are compared in one unit and on the same truth.
N windows, L steps of look-back, H steps of the horizon, T = L + H, P parts of the horizon, C channels, D covariates.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from tasks.kinds.forecast.forecaster import SeriesForecaster
from tasks.kinds.forecast.holdout import ForecastHoldout
from tasks.panel.frames import ROWS_FILE, TRAIN, VALUES, read_windows
from tasks.panel.scaler import Scaler
from tasks.promotion import scoring
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact

WINDOWS_AT_ONCE = 256
LOSSES = ("mse", "mae")
ERRORS_FILE = "errors.parquet"
# One record for each window (the row in which its history ends), part of the horizon and channel: at how many steps
# the value is known, and the squared and absolute errors there, added up.
ERRORS = pl.Schema(
    {
        "row": pl.UInt32,
        "series": pl.String,
        "time": pl.Int64,
        "part": pl.Int64,
        "channel": pl.String,
        "steps": pl.Int64,
        "mse": pl.Float64,
        "mae": pl.Float64,
    }
)


@dataclass(frozen=True, kw_only=True)
class ForecastScores(scoring.Scores):
    """One forecaster on a holdout: a table as in ERRORS, and the `error_unit` of the holdout."""

    errors: pl.DataFrame
    error_unit: Mapping[str, float | str]

    @classmethod
    def read(cls, artefact: Artefact, model: RegisteredModel, error_unit: Mapping[str, float | str]) -> Self:
        """Read what was stored of a version."""
        undefined, errors = scoring.ScoredSummary.of(artefact).undefined, pl.read_parquet(artefact.file(ERRORS_FILE))
        return cls(version=model.version, undefined=undefined, errors=errors, error_unit=error_unit)

    @property
    def figures(self) -> dict:
        """Version, mean squared and mean absolute error, and their unit."""
        losses = self.errors.select(pl.col(LOSSES).sum() / pl.col("steps").sum()).row(0, named=True)
        return {"version": self.version, **losses, "unit": self.error_unit}

    @property
    def headline(self) -> str:
        """The mean squared error."""
        return f"MSE {self.figures['mse']:.4g}"


def score_model(model: RegisteredModel, holdout: ForecastHoldout) -> ForecastScores:
    """Return a version's errors on a holdout, from the store if it was scored there before.

    Raises IntegrityError (E-INT-001) if a file of the model is damaged, InputError (E-SER-009) if rows lack numbers
    and the version has no policy for that.
    """
    write = partial(write_errors, parts=model.parts, holdout=holdout)
    origin = {"splits": holdout.splits, "windows": holdout.windows_digest}
    artefact = scoring.build_scores(write, model, holdout, module=__name__, origin=origin)
    return ForecastScores.read(artefact, model, holdout.error_unit)


def write_errors(folder: Path, *, parts: Path, holdout: ForecastHoldout) -> scoring.ScoredSummary:
    """Fill the artefact's folder: `errors.parquet`, as in ERRORS; windows that do not fit the look-back are missing."""
    forecaster = SeriesForecaster.load(parts)
    whole = read_windows(holdout.splits.file(ROWS_FILE))
    tables = [table for rows in whole for table in measure_errors(forecaster, rows, holdout)]
    return store_errors(folder, tables, "mse")


def store_errors(folder: Path, tables: Iterable[pl.DataFrame], metric: str) -> scoring.ScoredSummary:
    """Write tables as in ERRORS into one; counts the windows, and those of which a metric is undefined."""
    errors = pl.concat([ERRORS.to_frame(), *tables])
    errors.write_parquet(folder / ERRORS_FILE)
    undefined = errors.filter(~pl.col(metric).is_finite())["row"].n_unique()
    return scoring.ScoredSummary(rows=errors["row"].n_unique(), undefined=undefined)


def measure_errors(
    forecaster: SeriesForecaster, rows: pl.DataFrame, holdout: ForecastHoldout
) -> Iterator[pl.DataFrame]:
    """Forecast the windows of a holdout that lie in a frame of whole series; yields tables as in ERRORS."""
    from rnnmodels.forecasters.forecasts import forecast_arrays

    channels, look_back = forecaster.serving.channels, forecaster.model.shape.look_back
    scaler, rows = cover_series(forecaster.scaler, rows, holdout)
    if rows.is_empty():
        return
    # The values themselves are the truth, so they pass the scaler under another name.
    frame = scaler.transform(rows.with_columns(VALUES.name.replace("^value", "truth")))
    values, truth = (_as_matrix(frame, kind, channels) for kind in ("value", "truth"))
    covariates = _as_matrix(frame, "known", scaler.covariates).astype(np.float32, copy=False)
    last = find_last_rows(frame, holdout, look_back)
    for start in range(0, len(last), WINDOWS_AT_ONCE):
        last_N = last[start : start + WINDOWS_AT_ONCE]
        steps_NT = last_N[:, None] + np.arange(1 - look_back, 1 + holdout.horizon)
        outputs_NHCO = forecast_arrays(forecaster.model, values[steps_NT[:, :look_back]], covariates[steps_NT])
        series = frame["series"].gather(last_N).to_list()
        point_NHC = scaler.units(series, channels).restore(outputs_NHCO[..., 0])
        # From here on NaN means that the truth is missing.
        defined_NHC = np.where(np.isfinite(point_NHC), point_NHC, np.inf)
        unit_N1C = holdout.scaler.units(series, channels).scale[:, None]
        error_NHC = (defined_NHC - truth[steps_NT[:, look_back:]]) / unit_N1C
        yield tabulate_errors(error_NHC, frame[last_N], channels, holdout.edges)


def cover_series(scaler: Scaler, rows: pl.DataFrame, holdout: ForecastHoldout) -> tuple[Scaler, pl.DataFrame]:
    """Take the series of a frame that the holdout measures; what a model was not trained on it scales by training rows.

    So does a served model by the history it is given. Of a series with too few of them nothing can be forecast.
    """
    names = [name for name in rows["series"].unique(maintain_order=True) if holdout.scaler.knows(name)]
    scaler = scaler.covering(names, rows.filter(split=TRAIN))
    known = [name for name in names if scaler.knows(name)]
    return scaler, rows.filter(pl.col("series").is_in(known))


def find_last_rows(frame: pl.DataFrame, holdout: ForecastHoldout, look_back: int) -> np.ndarray:
    """Positions in a frame where the histories of a holdout end, of the windows that no gap interrupts."""
    positions, series = holdout.grid.number_rows(frame).to_numpy(), frame["series"].rle_id().to_numpy()
    last = np.flatnonzero(np.isin(frame["row"].to_numpy(), holdout.origins))
    last = last[(last >= look_back - 1) & (last < frame.height - holdout.horizon)]
    first, end = last - look_back + 1, last + holdout.horizon
    return last[(series[first] == series[end]) & (positions[end] - positions[first] == end - first)]


def tabulate_errors(
    error_NHC: np.ndarray, origins: pl.DataFrame, channels: tuple[str, ...], edges: np.ndarray
) -> pl.DataFrame:
    """Add errors up within each part of the horizon, as in ERRORS; they are NaN where the truth is missing."""
    known_NHC = ~np.isnan(error_NHC)
    size_NHC = np.where(known_NHC, np.abs(error_NHC), 0.0)
    sums = {"steps": known_NHC.astype(np.int64), "mse": np.square(size_NHC), "mae": size_NHC}
    num_parts, num_channels = len(edges) - 1, error_NHC.shape[2]
    place = origins.select("row", "series", pl.col("time").cast(pl.Int64))
    parts = pl.DataFrame({"part": np.repeat(np.arange(num_parts), num_channels), "channel": channels * num_parts})
    return place.join(parts, how="cross", maintain_order="left_right").with_columns(
        pl.Series(name, np.add.reduceat(sum_NHC, edges[:-1], axis=1).ravel()) for name, sum_NHC in sums.items()
    )


def _as_matrix(frame: pl.DataFrame, kind: str, names: list[str] | tuple[str, ...]) -> np.ndarray:
    """Columns of a frame, row by row."""
    return frame.select(f"{kind}.{name}" for name in names).to_numpy(order="c").reshape(frame.height, len(names))
