"""Gradient reach by distance from the end."""

import copy

import numpy as np
import pytest
import torch

from rnnmodels.classifiers.diagnostics import gradient_norms_by_step
from rnnmodels.classifiers.inference import pad_sequences


def long_batch():
    generator = np.random.default_rng(0)
    return pad_sequences([generator.integers(2, 30, 101) for _ in range(4)])


@pytest.mark.parametrize(("cell", "reach"), [("rnn", 1e-3), ("lstm", 1e-4)])
def test_gradients_reach_a_hundred_steps_back_where_torchs_own_start_does_not(make_model, cell, reach):
    model = make_model(cell=cell, pooling="last", hidden_size=32)
    default = copy.deepcopy(model)
    torch.manual_seed(0)
    default.encoder.layers[0].directions[0].reset_parameters()
    own, stock = gradient_norms_by_step(model, long_batch()), gradient_norms_by_step(default, long_batch())
    assert own.shape == (101,)
    assert own[100] / own[0] > reach
    assert stock[100] / stock[0] < 1e-12


def test_steps_count_back_from_each_rows_own_end(make_model):
    model = make_model(pooling="last").train()
    long, short = np.array([4, 5, 6, 7]), np.array([8, 9])
    apart = [gradient_norms_by_step(model, pad_sequences([sequence])) for sequence in (long, short)]
    together = gradient_norms_by_step(model, pad_sequences([long, short]))
    np.testing.assert_allclose(together[:2], (apart[0][:2] + apart[1]) / 2, rtol=1e-5)
    np.testing.assert_allclose(together[2:], apart[0][2:], rtol=1e-5)


def test_the_model_is_left_as_it_was(make_model):
    model = make_model().train()
    gradient_norms_by_step(model, long_batch())
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
