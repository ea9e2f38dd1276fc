"""Sequences to the numbers that a model reads: the same in training and in serving.

This module travels with the registered model, so it knows neither Prefect nor MLflow.
"""

import numpy as np
import polars as pl
import pyarrow as pa

from tasks.errors import InputError, quoted
from tasks.kinds.classify_series.frames import scatter_steps
from tasks.panel.frames import bare_name
from tasks.panel.scaler import Scaler

SCALER_FILE = "scaler.json"
VALUES_COLUMN = "values"


def encode_sequences(sequences: pl.DataFrame, scaler: Scaler) -> pl.Series:
    """Scaled numbers of each sequence as one list, those of a step after those of the step before.

    Raises InputError: E-SER-009 for missing numbers without a policy, E-SER-010 for numbers beyond the range of floats.
    """
    steps, names = scaler.transform(scatter_steps(sequences)), list(scaler.columns)
    _refuse_infinite(steps, names)
    numbers = np.ascontiguousarray(steps.select(names).to_numpy(), dtype=np.float32)
    ends = np.cumsum(sequences["length"].to_numpy(), dtype=np.int64) * numbers.shape[1]
    lists = pa.LargeListArray.from_arrays(np.concatenate([[0], ends]), pa.array(numbers.reshape(-1)))
    return pl.Series(VALUES_COLUMN, lists)


def _refuse_infinite(steps: pl.DataFrame, names: list[str]) -> None:
    for name in names:
        beyond = steps.filter(~pl.col(name).is_finite())
        if beyond.height:
            series, time = beyond.select("series", "time").row(0)
            raise InputError(
                "E-SER-010",
                f"the number at {time} in series {quoted(series)} is out of range for 32-bit floats once scaled by "
                "the training sequences.",
                fix="correct the number, or set encode.method to another.",
                column=bare_name(name),
            )
