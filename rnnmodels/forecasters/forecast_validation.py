"""How much of the recurrent part to add to the line: all of its weights are measured in one pass.

Shapes: B windows, H horizon, C channels, V weights.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnmodels.forecasters.forecast_outputs import Forecast

WEIGHTS = tuple(index / 10 for index in range(11))

Loss = Callable[[Forecast, Tensor], Tensor]


@dataclass(frozen=True)
class WeightMeasures:
    """Mean loss, squared and absolute error for each weight of the recurrent part."""

    weights: tuple[float, ...]
    values: dict[str, list[float]]

    def best(self, selection: str) -> int:
        """Position of the weight with the least `selection`, the smallest of equal ones."""
        return int(torch.tensor(self.values[selection]).argmin())


def measure_weights(
    forecasts: Iterable[tuple[Forecast, Tensor]], loss: Loss, weights: Sequence[float] = WEIGHTS
) -> WeightMeasures:
    """Score forecasts (with the recurrent part in full) against their targets (B, H, C) under each weight."""
    sums_V3, num_values = torch.zeros(len(weights), 3, dtype=torch.float64), 0
    for forecast, target_BHC in forecasts:
        sums_V3 += torch.stack([_sum_measures(forecast.weighted(weight), target_BHC, loss) for weight in weights])
        num_values += target_BHC.numel()
    means_3V = (sums_V3 / num_values).T.tolist()
    return WeightMeasures(tuple(weights), dict(zip(("loss", "mse", "mae"), means_3V, strict=True)))


def _sum_measures(forecast: Forecast, target_BHC: Tensor, loss: Loss) -> Tensor:
    error_BHC = forecast.location - target_BHC
    measures = (loss(forecast, target_BHC), error_BHC.square(), error_BHC.abs())
    return torch.stack([measure_BHC.sum(dtype=torch.float64) for measure_BHC in measures]).cpu()
