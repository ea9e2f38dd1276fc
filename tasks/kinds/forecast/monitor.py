"""What is monitored of series to forecast: windows of their histories, and the errors of earlier forecasts."""

import contextlib
from itertools import islice

import polars as pl

from tasks.contract.lineage import Lineage
from tasks.contract.profile import Profile
from tasks.errors import InputError
from tasks.kinds.forecast.forecaster import SERIES_AT_ONCE, SeriesForecaster
from tasks.kinds.forecast.seen_windows import count_windows, tabulate_windows
from tasks.panel.frames import ROWS_FILE, TEST, VALID, VALUES, read_windows
from tasks.panel.profile import WATCH, profile_windows

__all__ = ["WATCH", "reference_profile"]

MOST_REFERENCE_WINDOWS = 2_048


def reference_profile(forecaster: SeriesForecaster, lineage: Lineage) -> Profile:
    """Count the windows that lie in validation rows as the served model sees them, which looks back on training rows.

    A series that cannot be forecast there, as one with a gap near its end, has none.
    """
    tables = []
    for whole in read_windows(lineage.splits.file(ROWS_FILE)):
        rows = whole.filter(pl.col("split") < TEST)
        with contextlib.suppress(InputError):
            tables += [tabulate_validation(forecaster, rows)] if rows.height else []
    return profile_windows(pl.concat(tables), as_reference=True) if tables else Profile.empty()


def tabulate_validation(forecaster: SeriesForecaster, rows: pl.DataFrame) -> pl.DataFrame:
    """Describe the windows of whole series that lie in their validation rows.

    Raises InputError if none of the series can be forecast.
    """
    cuts = rows.filter(split=VALID).group_by("series").agg(first=pl.col("time").min().cast(pl.Int64))
    if forecaster.serving.covariates:
        # What is known in advance of the last horizon is in the rows alone.
        is_past = pl.int_range(pl.len(), 0, -1).over("series") > forecaster.model.shape.horizon
        rows = rows.with_columns(pl.when(is_past).then(VALUES))
    histories = forecaster.histories(rows, [], num_windows=count_windows(rows, MOST_REFERENCE_WINDOWS))
    tables = []
    while part := tuple(islice(histories, SERIES_AT_ONCE)):
        outputs = forecaster.forecast(part)
        tables.append(tabulate_windows(forecaster.model, part, outputs, forecaster.serving.channels))
    windows = pl.concat(tables).join(cuts, on="series")
    return windows.filter(pl.col("begin") >= pl.col("first")).drop("first")
