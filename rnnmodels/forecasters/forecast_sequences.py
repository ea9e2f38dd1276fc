"""What the networks of a forecaster read, and the layers they share.

Shapes: T = L + H steps, L look-back, H horizon, N sequences, K values per step of a sequence, D covariates,
F input features, U hidden units.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.layers.cells import build_cell
from rnnmodels.layers.dropout import LockedDropout
from rnnmodels.layers.row_parallel import State, run_cell


@dataclass(frozen=True)
class Sequences:
    """Normalised `values` (L, N, K) and `covariates` (T, N, D); `start` (H, N, K) is what numbers are added to.

    `future` (H, N, K) is the truth, for teacher forcing.
    """

    values: Tensor
    covariates: Tensor
    start: Tensor
    future: Tensor | None = None

    def history(self) -> Tensor:
        """Values and covariates of the history (L, N, K + D)."""
        return torch.cat([self.values, self.covariates[: len(self.values)]], dim=-1)


@dataclass(frozen=True)
class NetworkSizes:
    """Sizes of sequences: `num_sequences` of each window, with `num_values` each."""

    look_back: int
    horizon: int
    num_sequences: int
    num_values: int
    num_covariates: int
    num_outputs: int


class StackedCells(nn.Module):
    """Recurrent layers whose states can be taken out and put in."""

    def __init__(self, architecture: ForecastArchitecture, input_size: int, *, dropout: float) -> None:
        super().__init__()
        sizes = [input_size] + [architecture.hidden_size] * (architecture.num_layers - 1)
        self.cells = nn.ModuleList(build_cell(architecture, size) for size in sizes)
        self.dropout = LockedDropout(dropout)

    def forward(self, x_TNF: Tensor, states: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Return the last layer's hidden states (T, N, U) and all layers' final ones (1, N, U)."""
        finals = []
        for index, cell in enumerate(self.cells):
            assert isinstance(cell, nn.RNNBase)
            x_TNF, final = run_cell(cell, self.dropout(x_TNF), None if states is None else states[index])
            finals.append(final)
        return x_TNF, finals


def build_zero_linear(input_size: int, output_size: int) -> nn.Linear:
    """A linear layer that starts at zero."""
    linear = nn.Linear(input_size, output_size)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
