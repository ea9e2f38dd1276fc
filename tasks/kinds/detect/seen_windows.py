"""What a detector sees, window by window; this module travels with the registered model.

Shapes: N rows, W windows, S rows of a window, C channels.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray


def tabulate_windows(
    rows: pl.DataFrame,
    levels_NC: NDArray[np.float32],
    forecasts_NC: NDArray[np.float32],
    is_anomaly_N: NDArray[np.bool_],
    *,
    channels: Sequence[str],
    size: int,
) -> pl.DataFrame:
    """Describe successive rows of one series in windows of as many as `size`; those left over are not counted.

    Columns as `tasks.panel.profile.profile_windows` takes them: mean and spread of a window's levels, the mean absolute
    error of their forecasts, and whether a row is anomalous.
    """
    num_rows = rows.height // size * size
    stamps_WS, is_anomaly_WS = (
        numbers[:num_rows].reshape(-1, size) for numbers in (rows["time"].cast(pl.Int64).to_numpy(), is_anomaly_N)
    )
    levels_WSC, forecasts_WSC = (
        table[:num_rows].reshape(-1, size, len(channels)) for table in (levels_NC, forecasts_NC)
    )
    numbers = {
        "level": levels_WSC.mean(axis=1),
        "spread": levels_WSC.std(axis=1),
        "error": np.abs(levels_WSC - forecasts_WSC).mean(axis=1),
    }
    table = pl.DataFrame({"begin": stamps_WS.min(axis=1), "end": stamps_WS.max(axis=1)})
    return table.select(
        pl.lit(rows["series"].first(), pl.String).alias("series"),
        "begin",
        "end",
        pl.Series("alarm", is_anomaly_WS.max(axis=1)),
        *(
            pl.Series(f"{name}.{channel}", of_windows[:, index])
            for name, of_windows in numbers.items()
            for index, channel in enumerate(channels)
        ),
    )
