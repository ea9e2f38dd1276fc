"""One step of a cell from one state into many inputs, as parallel decoding takes it.

The state's share of the gates is computed once, not once per input: torch's own cells would repeat the larger half
of the work for every segment that is forecast.
Shapes: * leading dimensions that broadcast, F input features, U hidden units.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


def step_from_state(cell: nn.RNNBase, x_F: Tensor, hidden_U: Tensor, memory_U: Tensor | None = None) -> Tensor:
    """Return the hidden states (*, U) after one step; `memory_U` is the cell state of an LSTM."""
    weight_x, weight_h, bias_x, bias_h = cell.all_weights[0]
    gates_x = functional.linear(x_F, weight_x, bias_x)
    gates_h = functional.linear(hidden_U, weight_h, bias_h)
    if isinstance(cell, nn.GRU):
        return _step_gru(gates_x, gates_h, hidden_U)
    if isinstance(cell, nn.LSTM):
        assert memory_U is not None
        return _step_lstm(gates_x + gates_h, memory_U)
    return {"RNN_TANH": torch.tanh, "RNN_RELU": torch.relu}[cell.mode](gates_x + gates_h)


def _step_gru(gates_x: Tensor, gates_h: Tensor, hidden_U: Tensor) -> Tensor:
    reset_x, update_x, new_x = gates_x.chunk(3, dim=-1)
    reset_h, update_h, new_h = gates_h.chunk(3, dim=-1)
    new_U = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
    return torch.lerp(new_U, hidden_U.expand_as(new_U), torch.sigmoid(update_x + update_h))


def _step_lstm(gates: Tensor, memory_U: Tensor) -> Tensor:
    keep_in, forget, new, out = gates.chunk(4, dim=-1)
    memory_U = torch.sigmoid(forget) * memory_U + torch.sigmoid(keep_in) * torch.tanh(new)
    return torch.sigmoid(out) * torch.tanh(memory_U)
