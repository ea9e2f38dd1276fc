"""Recurrent layers built from single-layer, one-directional `torch.nn` modules.

Shapes: T time steps, B batch, F input features, H hidden units (of all directions together).
Layers are time-major: a step then reads one contiguous block.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from rnnmodels.config import RecurrentArchitecture
from rnnmodels.layers.dropout import LockedDropout, drop_recurrent_weights
from rnnmodels.layers.row_parallel import call_cell, run_cell
from rnnmodels.layers.states import State

# Just below 1, so that a state which nothing feeds fades instead of growing without bound.
IDENTITY_SCALE = 0.95

UPDATE_GATE = {"gru": 1, "lstm": 1}  # torch orders the gates of a GRU r, z, n and of an LSTM i, f, g, o


class RecurrentLayer(nn.Module):
    """One recurrent layer in one or both directions; no state at a real step ever depends on padding."""

    def __init__(self, architecture: RecurrentArchitecture, input_size: int) -> None:
        super().__init__()
        self.directions = nn.ModuleList(
            build_cell(architecture, input_size) for _ in range(1 + architecture.bidirectional)
        )
        self.weight_dropout = architecture.weight_dropout

    def forward(self, x_TBF: Tensor, length_B: Tensor) -> Tensor:
        """Return the hidden states (T, B, H); those after a sequence's end are arbitrary."""
        states_TBH, _ = self._call(self.directions[0], x_TBF)
        if len(self.directions) == 1:
            return states_TBH
        order_TB = reversed_order(length_B, x_TBF.shape[0])
        backward_TBH, _ = self._call(self.directions[1], reorder_steps(x_TBF, order_TB))
        return torch.cat([states_TBH, reorder_steps(backward_TBH, order_TB)], dim=-1)

    def advance(self, x_TBF: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Go on from a state in the forward direction: the hidden states (T, B, H) and the final state."""
        cell = cast(nn.RNNBase, self.directions[0])
        return run_cell(cell, x_TBF, state, self._drop_weights(cell))

    def _call(self, cell: nn.Module, x_TBF: Tensor) -> tuple[Tensor, State]:
        cell = cast(nn.RNNBase, cell)
        return call_cell(cell, x_TBF, weights=self._drop_weights(cell))

    def _drop_weights(self, cell: nn.RNNBase) -> list[Tensor] | None:
        return drop_recurrent_weights(cell, self.weight_dropout) if self.training else None


class RecurrentEncoder(nn.Module):
    """Stacked recurrent layers with locked dropout at the input of each."""

    def __init__(self, architecture: RecurrentArchitecture, input_size: int) -> None:
        super().__init__()
        self.output_size = architecture.hidden_size * (1 + architecture.bidirectional)
        input_sizes = [input_size] + [self.output_size] * (architecture.num_layers - 1)
        self.layers = nn.ModuleList(RecurrentLayer(architecture, size) for size in input_sizes)
        self.dropout = LockedDropout(architecture.locked_dropout)

    def forward(self, x_TBF: Tensor, length_B: Tensor) -> Tensor:
        """Return the last layer's hidden states (T, B, H)."""
        for layer in self.layers:
            x_TBF = layer(self.dropout(x_TBF), length_B)
        return x_TBF

    def advance(self, x_TBF: Tensor, states: Sequence[State] | None) -> tuple[Tensor, list[State]]:
        """Go on from the layers' states, forwards: the last hidden states (T, B, H), and all layers' final ones."""
        finals = []
        for layer, state in zip(self.layers, states or [None] * len(self.layers), strict=True):
            x_TBF, final = cast(RecurrentLayer, layer).advance(self.dropout(x_TBF), state)
            finals.append(final)
        return x_TBF, finals

    def top_weights(self) -> list[nn.Parameter]:
        """The weights above the last layer: there are none."""
        return []

    def named_cells(self) -> dict[str, nn.RNNBase]:
        """The cells by layer and direction, from the first layer up."""
        cells = {}
        for number, layer in enumerate(self.layers, start=1):
            assert isinstance(layer, RecurrentLayer)
            for cell, direction in zip(layer.directions, ("", " backward"), strict=False):
                assert isinstance(cell, nn.RNNBase)
                cells[f"layer {number}{direction}"] = cell
        return cells


class _OrderContext(FunctionCtx):
    """What the gradient finds of the forward pass: the order."""

    saved_tensors: tuple[Tensor]


class _ReorderSteps(torch.autograd.Function):
    """Gather by a permutation that is its own inverse, so that the gradient is the same cheap gather."""

    @staticmethod
    def forward(ctx: _OrderContext, x_NF: Tensor, order_N: Tensor) -> Tensor:
        ctx.save_for_backward(order_N)
        return x_NF.index_select(0, order_N)

    @staticmethod
    def backward(ctx: _OrderContext, *gradients_NF: Tensor) -> tuple[Tensor, None]:
        (order_N,) = ctx.saved_tensors
        return gradients_NF[0].index_select(0, order_N), None


def reversed_order(length_B: Tensor, num_steps: int) -> Tensor:
    """Say which step stands where when each sequence is reversed within its own length (T, B)."""
    step_T1 = torch.arange(num_steps, device=length_B.device)[:, None]
    return torch.where(step_T1 < length_B, length_B - 1 - step_T1, step_T1)


def reorder_steps(x_TBF: Tensor, order_TB: Tensor) -> Tensor:
    """Move the steps of each sequence; `order_TB` must be its own inverse, as a reversal is."""
    num_rows = order_TB.shape[1]
    flat_order = (order_TB * num_rows + torch.arange(num_rows, device=order_TB.device)).flatten()
    return _ReorderSteps.apply(x_TBF.flatten(0, 1), flat_order).view_as(x_TBF)


def build_cell(architecture: RecurrentArchitecture, input_size: int) -> nn.RNNBase:
    """Make one direction of one layer, initialised so that gradients reach far back."""
    if architecture.cell == "rnn":
        cell = nn.RNN(input_size, architecture.hidden_size, nonlinearity=architecture.nonlinearity)
    else:
        cell = {"gru": nn.GRU, "lstm": nn.LSTM}[architecture.cell](input_size, architecture.hidden_size)
    _initialize_weights(cell, is_relu=architecture.cell == "rnn" and architecture.nonlinearity == "relu")
    _initialize_biases(cell, architecture)
    return cell


@torch.no_grad()
def _initialize_weights(cell: nn.RNNBase, *, is_relu: bool) -> None:
    """Set Glorot input and orthogonal recurrent weights per gate; a ReLU cell starts near identity.

    Le, Jaitly, Hinton 2015, https://arxiv.org/abs/1504.00941 (identity).
    """
    weight_x, weight_h, *_ = cell.all_weights[0]
    for gate_HF in weight_x.split(cell.hidden_size):
        nn.init.xavier_uniform_(gate_HF)
    for gate_HH in weight_h.split(cell.hidden_size):
        if is_relu:
            nn.init.eye_(gate_HH).mul_(IDENTITY_SCALE)
        else:
            nn.init.orthogonal_(gate_HH)


@torch.no_grad()
def _initialize_biases(cell: nn.RNNBase, architecture: RecurrentArchitecture) -> None:
    """Start gates open to the past: forget bias 1 (LSTM), or chrono initialisation for known long lags.

    Tallec, Ollivier 2018, https://arxiv.org/abs/1804.11188 (chrono).
    """
    *_, bias_x, bias_h = cell.all_weights[0]
    bias_x.zero_()
    bias_h.zero_()
    if architecture.cell == "rnn":
        return
    gates = bias_x.split(cell.hidden_size)
    keep_H = gates[UPDATE_GATE[architecture.cell]]
    if architecture.longest_lag:
        keep_H.uniform_(1, max(2, architecture.longest_lag) - 1).log_()
    elif architecture.cell == "lstm":
        keep_H.fill_(1)
    if architecture.longest_lag and architecture.cell == "lstm":
        gates[0].copy_(-keep_H)
