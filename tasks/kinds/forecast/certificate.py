"""Certificate of a forecaster: what it says of a window depends on that window alone."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from rnnmodels.deviation import Certificate, largest_deviation

if TYPE_CHECKING:
    from rnnmodels.forecasters.forecaster import SequenceForecaster
    from rnnmodels.forecasters.windows import Windows

# Other batch-mates, other thread counts and other devices round differently; in scaled units.
TOLERANCE = {"cpu": 1e-4, "cuda": 1e-3}


def certify_forecasts(model: "SequenceForecaster", windows: "Windows", num_rows: int) -> dict:
    """Certify on some windows that their forecasts depend neither on the size of the batch nor on batch-mates."""
    from rnnmodels.forecasters.forecasts import forecast_arrays

    batch = windows.take(np.unique(np.linspace(0, windows.num_rows - 1, num_rows, dtype=np.int64)))
    mates = np.random.default_rng(0).permutation(len(batch.row))
    history = np.concatenate([batch.history, batch.history[mates] * 2 + 1])
    covariates = np.concatenate([batch.covariates, batch.covariates[mates]])
    alone = np.concatenate(
        [forecast_arrays(model, batch.history[i : i + 1], batch.covariates[i : i + 1]) for i in range(len(batch.row))]
    )
    varied = {
        "batch_size": forecast_arrays(model, batch.history, batch.covariates),
        "batch_mates": forecast_arrays(model, history, covariates)[: len(batch.row)],
    }
    deviations = {name: largest_deviation(outputs, alone) for name, outputs in varied.items()}
    certificate = Certificate.of(deviations, tolerance=TOLERANCE["cpu"], num_sequences=len(batch.row))
    return dataclasses.asdict(certificate)
