"""How far back in time gradients reach: vanishing and exploding gradients, by distance from the end."""

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rnnmodels.classifiers.batches import Batch
from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.classifiers.inference import pad_sequences, to_device, to_int64


def gradient_norms_by_step(model: SequenceClassifier, batch: Batch) -> NDArray[np.float64]:
    """Return |dL/dx_t| of the token vectors by distance from each row's last token, averaged over rows (T).

    Entry 0 is the last token. Computed without dropout on a copy on the CPU, since cuDNN has no gradients then.
    """
    judge = copy.deepcopy(model).cpu().eval()
    device = torch.device("cpu")
    length_B = to_int64(batch.length, device)
    x_TBF = judge.embedding(to_device(batch.steps, device).T).detach().requires_grad_()
    loss = functional.cross_entropy(
        judge.classify_embedded(x_TBF, length_B), to_int64(batch.target, device), reduction="sum"
    )
    (gradient_TBF,) = torch.autograd.grad(loss, x_TBF)
    return _average_from_the_end(gradient_TBF.norm(dim=-1).numpy(), batch.length)


def _average_from_the_end(norms_TB: NDArray[np.float32], length_B: NDArray[np.integer]) -> NDArray[np.float64]:
    position_TB = length_B.astype(np.int64) - 1 - np.arange(int(length_B.max()))[:, None]
    norms_TB = np.take_along_axis(norms_TB, np.maximum(position_TB, 0), axis=0)
    return np.where(position_TB >= 0, norms_TB, 0).sum(axis=1) / (position_TB >= 0).sum(axis=1)


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
