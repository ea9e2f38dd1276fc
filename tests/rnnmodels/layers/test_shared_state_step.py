"""A step from one state into many inputs is the step of torch's own cell."""

import pytest
import torch
from torch import nn

from rnnmodels.layers.shared_state_step import step_from_state

CELLS = {
    "rnn": lambda: nn.RNN(4, 6),
    "relu": lambda: nn.RNN(4, 6, nonlinearity="relu"),
    "gru": lambda: nn.GRU(4, 6),
    "lstm": lambda: nn.LSTM(4, 6),
}


@pytest.mark.parametrize("name", CELLS)
def test_all_inputs_step_as_if_each_had_the_state_to_itself(name):
    torch.manual_seed(0)
    cell, x_MNF = CELLS[name](), torch.randn(3, 5, 4)
    states = [torch.randn(5, 6) for _ in range(2 if name == "lstm" else 1)]
    repeated = [state.repeat(3, 1)[None] for state in states]
    expected = cell(x_MNF.reshape(1, 15, 4), tuple(repeated) if name == "lstm" else repeated[0])[0]
    torch.testing.assert_close(step_from_state(cell, x_MNF, *states), expected.reshape(3, 5, 6))


@pytest.mark.parametrize("name", CELLS)
def test_inputs_that_all_sequences_share_are_not_repeated(name):
    torch.manual_seed(0)
    cell, x_MF = CELLS[name](), torch.randn(3, 1, 4)
    states = [torch.randn(5, 6) for _ in range(2 if name == "lstm" else 1)]
    whole = step_from_state(cell, x_MF.expand(3, 5, 4), *states)
    torch.testing.assert_close(step_from_state(cell, x_MF, *states), whole)
