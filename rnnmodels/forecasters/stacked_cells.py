"""The recurrent layers of a forecaster, and what a network says of those that read the history.

Shapes: T time steps, N sequences, F input features, U hidden units.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.layers.cells import build_cell
from rnnmodels.layers.dropout import LockedDropout, drop_recurrent_weights
from rnnmodels.layers.row_parallel import run_cell
from rnnmodels.layers.states import State


class StackedCells(nn.Module):
    """Recurrent layers whose states can be taken out and put in."""

    def __init__(self, architecture: ForecastArchitecture, input_size: int, *, dropout: float) -> None:
        super().__init__()
        sizes = [input_size] + [architecture.hidden_size] * (architecture.num_layers - 1)
        self.cells = nn.ModuleList(build_cell(architecture, size) for size in sizes)
        self.dropout = LockedDropout(dropout)
        self.weight_dropout = architecture.weight_dropout

    def forward(self, x_TNF: Tensor, states: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Return the last layer's hidden states (T, N, U) and all layers' final ones (1, N, U)."""
        finals = []
        for index, cell in enumerate(self.cells):
            assert isinstance(cell, nn.RNNBase)
            weights = drop_recurrent_weights(cell, self.weight_dropout)
            x_TNF, final = run_cell(cell, self.dropout(x_TNF), None if states is None else states[index], weights)
            finals.append(final)
        return x_TNF, finals

    def named_cells(self) -> dict[str, nn.RNNBase]:
        """The cells by layer, from the first up."""
        named = {}
        for number, cell in enumerate(self.cells, start=1):
            assert isinstance(cell, nn.RNNBase)
            named[f"layer {number}"] = cell
        return named


class ForecastNetwork(nn.Module, ABC):
    """A network whose cells read the history, `steps_per_read` steps of it at once."""

    @property
    def steps_per_read(self) -> int:
        """Steps of the history that the cells take at once."""
        return 1

    @abstractmethod
    def reading_cells(self) -> dict[str, nn.RNNBase]:
        """The cells that read the history, by layer."""
