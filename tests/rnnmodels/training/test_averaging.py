"""Averaged weights: the bias correction and the way in and out of a model."""

import pytest
import torch
from torch import nn

from rnnmodels.training.averaging import AveragedWeights


def scalar_model(value):
    model = nn.Linear(1, 1, bias=False)
    set_weight(model, value)
    return model


def set_weight(model, value):
    nn.init.constant_(model.weight, value)


def test_the_average_equals_the_textbook_formula():
    model, decay, values = scalar_model(100.0), 0.9, [1.0, 5.0, -2.0, 4.0]
    average = AveragedWeights(model, decay)
    for value in values:
        set_weight(model, value)
        average.update(model)
    weights = [decay ** (len(values) - 1 - i) for i in range(len(values))]
    expected = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    assert average.weights["weight"].item() == pytest.approx(expected, rel=1e-6)


def test_constant_weights_average_to_themselves_from_the_first_update():
    model = scalar_model(3.0)
    average = AveragedWeights(model, 0.999)
    for _ in range(3):
        average.update(model)
        assert average.weights["weight"].item() == pytest.approx(3.0, rel=1e-6)


def test_a_model_gets_its_own_weights_back_after_the_block():
    model = scalar_model(2.0)
    average = AveragedWeights(model, 0.5)
    average.update(model)
    set_weight(model, 7.0)
    with average.applied(model):
        assert model.weight.item() == 2.0
    assert torch.equal(model.weight, torch.tensor([[7.0]]))
