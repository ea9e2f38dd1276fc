"""What is forecast for each step besides its location: nothing, quantiles, or the width of a distribution.

A network gives one number for the location and `num_widths` for widths, which arrive here positive. How much of the
recurrent part to add to the line is chosen here as well: all of its weights are measured in one pass.
Shapes: B windows, H horizon, C channels, W widths, Q quantile levels, V weights.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Normal, StudentT
from torch.nn import functional

from rnnmodels.forecasters.forecast_config import ForecastArchitecture

MIN_FREEDOM = 2.0  # below, a Student-t has no variance
MIN_WIDTH = 1e-3  # below, the likelihood of a channel that stands still grows without bound
GRID_POINTS = 2049

Floats = NDArray[np.float64]

WEIGHTS = tuple(index / 10 for index in range(11))


@dataclass(frozen=True)
class Forecast:
    """The line or level `base` (B, H, C), the recurrent part's `addition` to it, `widths` (B, H, C, W) around both."""

    base: Tensor
    addition: Tensor
    widths: Tensor

    @property
    def location(self) -> Tensor:
        """The point forecast."""
        return self.base + self.addition

    def weighted(self, weight: float | Tensor) -> "Forecast":
        """Scale the recurrent part's addition; widths stay."""
        return Forecast(self.base, weight * self.addition, self.widths)


def average_forecasts(forecasts: Sequence[Forecast]) -> Forecast:
    """Average forecasts of one base, and so their quantiles, which are linear in location and widths."""
    addition_BHC = torch.stack([forecast.addition for forecast in forecasts]).mean(dim=0)
    widths_BHCW = torch.stack([forecast.widths for forecast in forecasts]).mean(dim=0)
    return Forecast(forecasts[0].base, addition_BHC, widths_BHCW)


class Output(nn.Module, ABC):
    """Turns locations and widths into losses and quantiles; `start_W` are the widths that training starts from."""

    raw_start_W: Tensor

    def __init__(self, start_W: Tensor) -> None:
        super().__init__()
        self.num_widths = len(start_W)
        self.register_buffer("raw_start_W", _inverse_softplus(start_W), persistent=False)

    def widths(self, raw_BHCW: Tensor) -> Tensor:
        """Turn a network's numbers into widths above 0, which are the starting ones where the numbers are 0."""
        return MIN_WIDTH + functional.softplus(raw_BHCW + self.raw_start_W)

    @abstractmethod
    def loss(self, forecast: Forecast, target_BHC: Tensor, kind: str) -> Tensor:
        """Loss of each value (B, H, C)."""

    @abstractmethod
    def quantiles(self, forecast: Forecast) -> Tensor:
        """Quantiles at the architecture's levels, rising (B, H, C, Q)."""


class PointOutput(Output):
    """One value per step."""

    def __init__(self) -> None:
        super().__init__(torch.empty(0))

    def loss(self, forecast: Forecast, target_BHC: Tensor, kind: str) -> Tensor:
        """Absolute, squared or Huber loss."""
        measure = {"l1": functional.l1_loss, "l2": functional.mse_loss, "huber": functional.huber_loss}[kind]
        return measure(forecast.location, target_BHC, reduction="none")

    def quantiles(self, forecast: Forecast) -> Tensor:
        """No quantiles: (B, H, C, 0)."""
        return forecast.location.new_empty((*forecast.location.shape, 0))


class QuantileOutput(Output):
    """Quantiles that cannot cross: the location is the median, widths are the distances from one to the next."""

    level_Q: Tensor

    def __init__(self, levels: tuple[float, ...]) -> None:
        trained = sorted({*levels, 0.5})
        level_Q = torch.tensor(trained)
        super().__init__(torch.special.ndtri(level_Q).diff())
        self.num_below = trained.index(0.5)
        self.wanted = [trained.index(level) for level in levels]
        self.register_buffer("level_Q", level_Q, persistent=False)

    def loss(self, forecast: Forecast, target_BHC: Tensor, kind: str) -> Tensor:
        """Twice the mean pinball loss over the levels and the median."""
        assert kind == "quantile"
        return pinball_loss(self._trained_quantiles(forecast), target_BHC, self.level_Q)

    def quantiles(self, forecast: Forecast) -> Tensor:
        """The levels asked for; without 0.5 among them, the median is left out."""
        return self._trained_quantiles(forecast)[..., self.wanted]

    def _trained_quantiles(self, forecast: Forecast) -> Tensor:
        below, above = forecast.widths.tensor_split([self.num_below], dim=-1)
        median = forecast.location[..., None]
        return torch.cat([median - below.flip(-1).cumsum(-1).flip(-1), median, median + above.cumsum(-1)], dim=-1)


class GaussianOutput(Output):
    """A normal distribution per step; its width is the standard deviation."""

    level_Q: Tensor

    def __init__(self, levels: tuple[float, ...]) -> None:
        super().__init__(torch.ones(1))
        self.register_buffer("level_Q", torch.tensor(levels), persistent=False)

    def loss(self, forecast: Forecast, target_BHC: Tensor, kind: str) -> Tensor:
        """Negative log-likelihood, in nats, or twice the mean pinball loss of the quantiles."""
        if kind == "quantile":
            return pinball_loss(self.quantiles(forecast), target_BHC, self.level_Q)
        deviation_BHC = forecast.widths.squeeze(-1)
        return -Normal(forecast.location, deviation_BHC, validate_args=False).log_prob(target_BHC)

    def quantiles(self, forecast: Forecast) -> Tensor:
        """Location plus standard normal quantiles times the deviation."""
        return forecast.location[..., None] + forecast.widths * torch.special.ndtri(self.level_Q)


class StudentOutput(Output):
    """A Student-t distribution per step; its degrees of freedom are one weight per channel."""

    def __init__(self, levels: tuple[float, ...], num_channels: int) -> None:
        super().__init__(torch.ones(1))
        self.levels = levels
        self.raw_freedom_C = nn.Parameter(torch.full((num_channels,), 3.0))

    @property
    def freedom(self) -> Tensor:
        """Degrees of freedom, above 2."""
        return MIN_FREEDOM + functional.softplus(self.raw_freedom_C)

    def loss(self, forecast: Forecast, target_BHC: Tensor, kind: str) -> Tensor:
        """Negative log-likelihood, in nats."""
        assert kind == "likelihood"
        scale_BHC = forecast.widths.squeeze(-1)
        distribution = StudentT(self.freedom, forecast.location, scale_BHC, validate_args=False)
        return -distribution.log_prob(target_BHC)

    def quantiles(self, forecast: Forecast) -> Tensor:
        """Location plus the quantiles of each channel's standard distribution times the scale."""
        standard_CQ = student_quantiles(self.freedom.detach().cpu().double().numpy(), np.array(self.levels))
        return forecast.location[..., None] + forecast.widths * torch.from_numpy(standard_CQ).to(forecast.widths)


def build_output(architecture: ForecastArchitecture, num_channels: int) -> Output:
    """Make the output that the architecture asks for."""
    levels = architecture.quantile_levels
    match architecture.output:
        case "point":
            return PointOutput()
        case "quantiles":
            return QuantileOutput(levels)
        case "gaussian":
            return GaussianOutput(levels)
        case "student-t":
            return StudentOutput(levels, num_channels)


def pinball_loss(quantile_BHCQ: Tensor, target_BHC: Tensor, level_Q: Tensor) -> Tensor:
    """Twice the mean pinball loss over the levels, which tends to the CRPS as they grow dense (B, H, C)."""
    error_BHCQ = target_BHC[..., None] - quantile_BHCQ
    return 2 * torch.maximum(level_Q * error_BHCQ, (level_Q - 1) * error_BHCQ).mean(dim=-1)


def student_quantiles(freedom_C: Floats, level_Q: Floats) -> Floats:
    """Quantiles of the standard Student-t distribution (C, Q), by inverting its distribution function numerically.

    With t = sqrt(freedom) tan(angle), the density of the angle is proportional to cos(angle) ** (freedom - 1).
    """
    angle_G = np.linspace(0, math.pi / 2, GRID_POINTS)
    density_CG = np.cos(angle_G) ** (freedom_C[:, None] - 1)
    area_CG = np.cumsum(density_CG, axis=1) - (density_CG + density_CG[:, :1]) / 2  # trapezoids
    share_CG = area_CG / area_CG[:, -1:]
    angle_CQ = np.stack([np.interp(np.abs(2 * level_Q - 1), share_G, angle_G) for share_G in share_CG])
    return np.sign(level_Q - 0.5) * np.sqrt(freedom_C)[:, None] * np.tan(angle_CQ)


def _inverse_softplus(x_W: Tensor) -> Tensor:
    return x_W + torch.log(-torch.expm1(-x_W))


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
