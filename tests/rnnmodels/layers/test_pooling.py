"""Pooling over real steps only."""

import pytest
import torch

from rnnmodels.config import Architecture
from rnnmodels.layers.pooling import Pooling

LENGTHS = torch.tensor([3, 1])
STATES = torch.tensor([[[1.0, 8.0], [5.0, 6.0]], [[4.0, 2.0], [9.0, 9.0]], [[2.0, 3.0], [9.0, 9.0]]])


def pool(kind, *, bidirectional=False):
    size = 1 if bidirectional else 2
    return Pooling(Architecture(pooling=kind, hidden_size=size, bidirectional=bidirectional), 2)(STATES, LENGTHS)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("last", [[2.0, 3.0], [5.0, 6.0]]),
        ("mean", [[7 / 3, 13 / 3], [5.0, 6.0]]),
        ("max", [[4.0, 8.0], [5.0, 6.0]]),
    ],
)
def test_pooling_ignores_padding(kind, expected):
    torch.testing.assert_close(pool(kind), torch.tensor(expected))


def test_concat_joins_last_mean_and_maximum():
    assert torch.equal(pool("concat"), torch.cat([pool("last"), pool("mean"), pool("max")], dim=1))


def test_the_last_state_of_the_backward_direction_stands_at_the_first_step():
    assert pool("last", bidirectional=True).tolist() == [[2.0, 8.0], [5.0, 6.0]]


def test_attention_on_one_step_is_that_step():
    torch.testing.assert_close(pool("attention")[1], STATES[0, 1])


@pytest.mark.parametrize("kind", ["last", "mean", "max", "concat", "attention"])
def test_no_gradient_reaches_padding(kind):
    states = STATES.clone().requires_grad_()
    pooling = Pooling(Architecture(pooling=kind, hidden_size=2), 2)
    pooling(states, LENGTHS).square().sum().backward()
    assert states.grad[1:, 1].abs().sum() == 0
    assert states.grad[2, 0].abs().sum() > 0 or kind == "max"
