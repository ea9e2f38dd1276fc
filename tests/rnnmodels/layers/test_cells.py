"""Recurrent layers: equality with stock torch, directions, initialisation, memory."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnmodels.classifiers.packed import PackedLayer, packed_twin
from rnnmodels.config import Architecture
from rnnmodels.layers.cells import RecurrentEncoder, RecurrentLayer, build_cell, reversed_order

CELLS = [("rnn", "tanh"), ("rnn", "relu"), ("gru", "tanh"), ("lstm", "tanh")]
LENGTHS = torch.tensor([7, 1, 4, 6])


def small(cell="gru", nonlinearity="tanh", **options):
    return Architecture(cell=cell, nonlinearity=nonlinearity, embedding_size=5, hidden_size=6, **options)


@pytest.mark.numeric
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_bidirectional_encoder_equals_torch_on_packed_sequences(cell, nonlinearity, num_layers):
    torch.manual_seed(0)
    encoder = RecurrentEncoder(small(cell, nonlinearity, bidirectional=True, num_layers=num_layers), 5).eval()
    options = {"nonlinearity": nonlinearity} if cell == "rnn" else {}
    stock_class = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell]
    stock = stock_class(5, 6, num_layers=num_layers, bidirectional=True, **options)
    for index, layer in enumerate(encoder.layers):
        for direction, suffix in zip(layer.directions, ("", "_reverse"), strict=True):
            for name, weight in direction.named_parameters():
                stock.get_parameter(name.replace("l0", f"l{index}") + suffix).data.copy_(weight.data)
    x_TBF = torch.randn(7, 4, 5)
    expected, _ = pad_packed_sequence(stock(pack_padded_sequence(x_TBF, LENGTHS, enforce_sorted=False))[0])
    actual = encoder(x_TBF, LENGTHS)
    for row, length in enumerate(LENGTHS):
        assert_close_beside_largest(actual[:length, row], expected[:length, row])


def assert_close_beside_largest(actual, expected):
    """Packed products have other shapes, so they may add up in another order.

    What rounding then moves is a share of the largest terms, of which a sum may be the small rest; and the states of a
    ReLU grow (here to 49).
    """
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6 * max(1, expected.abs().max().item()))


@pytest.mark.numeric
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_equal_those_of_packed_sequences(cell, nonlinearity, bidirectional):
    torch.manual_seed(0)
    layer = RecurrentLayer(small(cell, nonlinearity, bidirectional=bidirectional), 5)
    x_TBF = torch.randn(7, 4, 5)
    mask_TB1 = (torch.arange(7)[:, None] < LENGTHS)[..., None]

    def gradients(module):
        inputs = x_TBF.clone().requires_grad_()
        loss = (module(inputs, LENGTHS) * mask_TB1).square().sum()
        return torch.autograd.grad(loss, [inputs, *layer.parameters()])

    for own, packed in zip(gradients(layer), gradients(PackedLayer(layer)), strict=True):
        assert_close_beside_largest(own, packed)


@pytest.mark.numeric
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padded_equals_packed_for_the_whole_classifier(make_model, sequences, bidirectional):
    model = make_model(bidirectional=bidirectional, num_layers=2).eval()
    tokens = torch.zeros(len(sequences), 90, dtype=torch.int64)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = torch.from_numpy(sequence)
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    twin = packed_twin(model)
    assert {id(weight) for weight in twin.parameters()} == {id(weight) for weight in model.parameters()}
    torch.testing.assert_close(model(tokens, lengths), twin(tokens, lengths), rtol=0, atol=1e-6)


def test_reversal_by_length_is_its_own_inverse_and_leaves_padding_in_place():
    order = reversed_order(torch.tensor([3, 1, 4]), 5)
    assert order.T.tolist() == [[2, 1, 0, 3, 4], [0, 1, 2, 3, 4], [3, 2, 1, 0, 4]]


@pytest.mark.numeric
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_changing_the_future_leaves_earlier_unidirectional_states_unchanged(cell, nonlinearity):
    torch.manual_seed(0)
    encoder = RecurrentEncoder(small(cell, nonlinearity, num_layers=2), 5).eval()
    x_TBF = torch.randn(7, 4, 5)
    changed = x_TBF.clone()
    changed[5:] = torch.randn(2, 4, 5)
    lengths = torch.full((4,), 7)
    before, after = encoder(x_TBF, lengths), encoder(changed, lengths)
    assert torch.equal(before[:5], after[:5])
    assert not torch.equal(before[5:], after[5:])


def test_the_backward_direction_sees_the_future():
    encoder = RecurrentEncoder(small(bidirectional=True), 5).eval()
    x_TBF = torch.randn(7, 4, 5)
    changed = x_TBF.clone()
    changed[6, 0] += 1
    assert not torch.equal(encoder(x_TBF, LENGTHS)[0, 0], encoder(changed, LENGTHS)[0, 0])


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_recurrent_weights_start_orthogonal_per_gate(cell):
    built = build_cell(small(cell), 5)
    for gate in built.weight_hh_l0.split(6):
        torch.testing.assert_close(gate @ gate.T, torch.eye(6), rtol=0, atol=1e-5)


def test_a_relu_cell_starts_near_identity():
    assert torch.equal(build_cell(small("rnn", "relu"), 5).weight_hh_l0, 0.95 * torch.eye(6))


def test_the_forget_gate_of_an_lstm_starts_open():
    built = build_cell(small("lstm"), 5)
    assert built.bias_ih_l0.split(6)[1].tolist() == [1.0] * 6
    assert built.bias_hh_l0.abs().sum() == 0


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_chrono_initialisation_spans_the_longest_lag(cell):
    architecture = Architecture(cell=cell, hidden_size=500, longest_lag=200)
    gates = build_cell(architecture, 5).bias_ih_l0.detach().split(500)
    time_scales = gates[1].exp()
    assert 1 <= time_scales.min() < 5
    assert 190 < time_scales.max() <= 199.01
    if cell == "lstm":
        assert torch.equal(gates[0], -gates[1])


@pytest.mark.parametrize(("nonlinearity", "distance"), [("tanh", 60), ("relu", 30)])
def test_a_plain_rnn_remembers_its_first_token_where_torchs_own_start_does_not(make_model, nonlinearity, distance):
    model = make_model(
        cell="rnn", nonlinearity=nonlinearity, hidden_size=24, pooling="last", embedding_dropout=0, locked_dropout=0
    )
    default = copy.deepcopy(model)
    torch.manual_seed(0)
    for cell in default.encoder.layers[0].directions:
        cell.reset_parameters()
    assert accuracy_on_first_token(model, distance) > 0.95
    assert accuracy_on_first_token(default, distance) < 0.7


def accuracy_on_first_token(model, distance, *, num_steps=150):
    """Train on telling the first token after `distance` random others; return the accuracy of the last steps."""
    generator = np.random.default_rng(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    hits = []
    for _ in range(num_steps):
        tokens = torch.from_numpy(generator.integers(4, 30, (32, distance + 1)))
        target = torch.from_numpy(generator.integers(0, 2, 32))
        tokens[:, 0] = 2 + target
        logits = model(tokens, torch.full((32,), distance + 1))
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, target).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        hits.append((logits.argmax(1) == target).double().mean().item())
    return np.mean(hits[-20:])
