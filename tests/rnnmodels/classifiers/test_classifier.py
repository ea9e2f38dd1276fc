"""The classifier as a whole: seeds, padding, learning."""

import pytest
import torch
from torch.nn import functional

from rnnmodels.config import Training
from rnnmodels.training.fitting import fit

TOKENS = torch.randint(2, 30, (5, 12), generator=torch.Generator().manual_seed(3))
LENGTHS = torch.tensor([12, 1, 7, 3, 11])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(make_model):
    first, second, other = make_model(seed=4), make_model(seed=4), make_model(seed=5)
    for name, weight in first.named_parameters():
        assert torch.equal(weight, second.get_parameter(name))
    assert not torch.equal(first.embedding.weight, other.embedding.weight)


def test_building_a_model_leaves_the_global_random_state_alone(make_model):
    before = torch.get_rng_state()
    make_model(seed=4)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "concat", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_tokens_after_the_end_change_nothing(make_model, cell, bidirectional, pooling):
    model = make_model(cell=cell, bidirectional=bidirectional, pooling=pooling, num_layers=2).eval()
    changed = torch.where(torch.arange(12) < LENGTHS[:, None], TOKENS, 29 - TOKENS)
    assert not torch.equal(changed, TOKENS)
    assert torch.equal(model(TOKENS, LENGTHS), model(changed, LENGTHS))


def test_logits_are_float32_even_when_the_recurrent_layers_are_not(make_model):
    model = make_model(cell="lstm").eval()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(TOKENS, LENGTHS)
    exact = model(TOKENS, LENGTHS)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.02


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_one_batch_is_overfitted(make_model, cell):
    model = make_model(cell=cell, embedding_dropout=0, locked_dropout=0, head_dropout=0)
    target = torch.tensor([0, 1, 1, 0, 1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(60):
        loss = functional.cross_entropy(model(TOKENS, LENGTHS), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01


def test_frozen_layers_stay_what_they_were(make_model, make_shards):
    model, shards = make_model(num_layers=2), make_shards("train", 60)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    training = Training(epochs=1, batch_tokens=256, gradual_unfreezing=True, class_ratio_scale=0, device="cpu")
    list(fit(model, shards, shards, training))
    changed = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed == {"head.weight", "head.bias"}


def test_layers_from_the_top_hold_each_weight_once(make_model):
    model = make_model(num_layers=2, bidirectional=True, pooling="attention")
    layers = model.layers_from_top()
    assert len(layers) == 4
    assert sorted(id(weight) for layer in layers for weight in layer) == sorted(map(id, model.parameters()))
    assert [id(weight) for weight in layers[-1]] == [id(model.embedding.weight)]
