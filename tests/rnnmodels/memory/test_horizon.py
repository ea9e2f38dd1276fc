"""How far back a model remembers: gradients in the states of its cells, by distance from the end of each row."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.classifiers.inference import pad_sequences
from rnnmodels.classifiers.series_classifier import SeriesClassifier
from rnnmodels.classifiers.series_config import SeriesArchitecture, SeriesTraining
from rnnmodels.config import Architecture, RecurrentArchitecture, Training
from rnnmodels.forecasters.forecast_config import ForecastArchitecture, ForecastTraining
from rnnmodels.forecasters.forecaster import NETWORKS, SequenceForecaster
from rnnmodels.forecasters.windows import WindowBatch, WindowShape
from rnnmodels.layers.cells import build_cell
from rnnmodels.layers.row_parallel import run_cell
from rnnmodels.layers.states import as_tuple
from rnnmodels.memory.horizon import MAX_POINTS, MemoryCurve, measure_curves, measure_memory
from rnnmodels.memory.probe import Probe
from rnnmodels.training.sequence_model import SequenceModel

NUM_STEPS, NUM_ROWS, NUM_FEATURES, NUM_UNITS, INPUT_SCALE = 101, 4, 2, 32, 0.1


def probe_of(cell, *, num_steps=NUM_STEPS, num_rows=NUM_ROWS):
    """A probe whose loss weighs the last hidden state at random."""
    generator = torch.Generator().manual_seed(0)
    x_TNF = INPUT_SCALE * torch.randn(num_steps, num_rows, cell.input_size, generator=generator)
    weight_U = torch.randn(cell.hidden_size, generator=generator)

    def loss():
        return (run_cell(cell, x_TNF)[0][-1] @ weight_U).sum()

    return Probe({"layer 1": cell}, torch.full((num_rows,), num_steps), loss)


def curve_of(cell, **sizes):
    return measure_curves(probe_of(cell, **sizes))["layer 1"]


def make_cell(name="gru", seed=0, **architecture):
    torch.manual_seed(seed)
    return build_cell(RecurrentArchitecture(cell=name, hidden_size=NUM_UNITS, **architecture), NUM_FEATURES)


def fading_cell(rate, seed=0):
    """A cell that is linear, as nothing in it is ever negative, and keeps a share of its state at each step."""
    torch.manual_seed(seed)
    cell = nn.RNN(NUM_FEATURES, NUM_UNITS, nonlinearity="relu")
    with torch.no_grad():
        weight_x, weight_h, *biases = cell.all_weights[0]
        weight_x.zero_()
        weight_h.copy_(rate * torch.eye(NUM_UNITS))
        biases[0].fill_(1), biases[1].zero_()
    return cell


@pytest.mark.parametrize("rate", [0.5, 0.9, 1.0, 1.1])
def test_a_memory_that_fades_or_grows_by_a_rate_has_a_curve_of_its_powers(rate):
    curve = curve_of(fading_cell(rate))

    np.testing.assert_array_equal(curve.lag, np.arange(NUM_STEPS))
    np.testing.assert_allclose(curve.norm, rate ** np.arange(NUM_STEPS), rtol=1e-3)


def test_the_effective_horizon_holds_95_percent_of_the_gradient():
    assert MemoryCurve(np.arange(100), 0.5 ** np.arange(100)).horizon == 4  # 1 - 0.5**5 = 0.97
    assert MemoryCurve(np.arange(100), np.ones(100)).horizon == 94
    assert MemoryCurve(np.arange(5), np.eye(5)[0]).horizon == 0
    assert MemoryCurve(np.array([0, 24, 48]), np.ones(3)).horizon == 48


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("lag", [0, 1, 7])
def test_a_norm_is_that_of_the_gradient_in_all_that_the_cell_hands_on(name, lag):
    cell, num_steps = make_cell(name), 12
    probe = probe_of(cell, num_steps=num_steps, num_rows=1)
    generator = torch.Generator().manual_seed(0)
    x_TNF = INPUT_SCALE * torch.randn(num_steps, 1, NUM_FEATURES, generator=generator)
    weight_U = torch.randn(NUM_UNITS, generator=generator)

    def norm_at(lag):
        state = cell(x_TNF[: num_steps - lag])[1]
        leaves = [part.detach().requires_grad_() for part in as_tuple(state)]
        end = (
            leaves[0][0]
            if lag == 0
            else cell(x_TNF[num_steps - lag :], tuple(leaves) if len(leaves) > 1 else leaves[0])[0][-1]
        )
        found = torch.autograd.grad((end @ weight_U).sum(), leaves, allow_unused=True, materialize_grads=True)
        return torch.cat(found, dim=-1).norm().item()

    np.testing.assert_allclose(measure_curves(probe)["layer 1"].norm[lag], norm_at(lag) / norm_at(0), rtol=1e-3)


@pytest.mark.parametrize(("cell", "longest_lag"), [("rnn", 0), ("lstm", 0), ("lstm", 100), ("gru", 100)])
def test_gradients_reach_a_hundred_steps_back_where_torchs_own_start_does_not(cell, longest_lag):
    own = make_cell(cell, longest_lag=longest_lag)
    stock = copy.deepcopy(own)
    torch.manual_seed(0)
    stock.reset_parameters()

    assert curve_of(own).norm[100] > 1e-4
    assert curve_of(stock).norm[100] < 1e-12


def test_gradients_explode_through_a_large_recurrent_matrix():
    cell = make_cell("rnn", nonlinearity="relu")
    with torch.no_grad():
        cell.all_weights[0][1].mul_(1.5)

    curve = curve_of(cell)
    assert curve.norm[100] > 1e6
    assert curve.horizon > 90


def test_a_gradient_beyond_what_numbers_hold_is_told_as_the_largest():
    curve = curve_of(fading_cell(100.0))

    assert np.isfinite(curve.norm).all()
    assert curve.norm[-1] > 1e30
    assert curve.horizon > 90
    assert "Infinity" not in json.dumps(curve.as_json(), allow_nan=False)


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_of_long_rows_some_states_are_kept_and_tell_the_same(monkeypatch, name):
    cell = make_cell(name, longest_lag=200)
    whole = curve_of(cell)
    monkeypatch.setattr("rnnmodels.memory.horizon.MAX_POINTS", 30)
    sampled = curve_of(cell)

    np.testing.assert_array_equal(sampled.lag, np.arange(0, NUM_STEPS, 4))
    np.testing.assert_allclose(sampled.norm, whole.norm[::4], rtol=1e-3)
    assert abs(sampled.horizon - whole.horizon) <= 4


def make_series_model(**architecture):
    settings = {"hidden_size": 8, "input_noise": 0.0, "pooling": "last"} | architecture
    return SeriesClassifier(SeriesArchitecture(**settings), num_channels=2, num_classes=3)


def sequences_of(*lengths):
    generator = np.random.default_rng(0)
    return [generator.normal(size=(length, 2)).astype(np.float32) for length in lengths]


def curves_of(model, sequences, width=0):
    batch = pad_sequences(sequences, width=width)
    return measure_curves(model.eval().probe(batch, SeriesTraining(), max_rows=32))


@pytest.mark.parametrize("max_points", [MAX_POINTS, 5])
def test_lags_count_back_from_each_rows_own_end(monkeypatch, max_points):
    monkeypatch.setattr("rnnmodels.memory.horizon.MAX_POINTS", max_points)
    model = make_series_model()
    long, short = sequences_of(19, 14)
    alone = curves_of(model, [short])["layer 1"]
    padded = curves_of(model, [short], width=25)["layer 1"]
    together = curves_of(model, [long, short])["layer 1"]

    np.testing.assert_array_equal(alone.lag, padded.lag)
    np.testing.assert_allclose(alone.norm, padded.norm, rtol=1e-4)
    assert (together.lag[0], together.norm[0]) == (0, 1)
    assert together.lag[-1] >= 16


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "concat", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_no_pooling_hides_that_a_cell_forgets_at_once(pooling, bidirectional):
    model = make_series_model(cell="rnn", pooling=pooling, bidirectional=bidirectional)
    with torch.no_grad():
        for cell in model.encoder.named_cells().values():
            cell.all_weights[0][1].zero_()

    curves = curves_of(model, sequences_of(12, 7))

    assert len(curves) == 1 + bidirectional
    for curve in curves.values():
        assert (curve.norm[0], curve.norm[1:].max(), curve.horizon) == (1, 0, 0)


def test_each_layer_and_direction_has_its_curve():
    curves = curves_of(make_series_model(num_layers=2, bidirectional=True), sequences_of(12, 7))

    assert list(curves) == ["layer 1", "layer 1 backward", "layer 2", "layer 2 backward"]
    assert all(len(curve.lag) == 12 and np.isfinite(curve.norm).all() for curve in curves.values())


@pytest.mark.parametrize("decoder", NETWORKS)
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_forecaster_counts_time_steps_of_its_history(decoder, cell):
    model = make_forecaster(decoder=decoder, cell=cell, num_layers=2, members=2)

    curves = measure_curves(model.probe(random_windows(50), ForecastTraining(), max_rows=20))

    assert list(curves) == [f"member {member} layer {layer}" for member in (1, 2) for layer in (1, 2)]
    step = 4 if decoder == "segment" else 1
    for curve in curves.values():
        np.testing.assert_array_equal(curve.lag, np.arange(0, 24, step))
        assert curve.norm[0] == 1


def test_a_cell_that_the_loss_ignores_has_no_curve():
    model = make_forecaster()
    torch.nn.init.zeros_(model.members[0].head.weight)

    assert measure_curves(model.probe(random_windows(3), ForecastTraining(), max_rows=3)) == {}


def make_forecaster(**architecture):
    settings = {"hidden_size": 8, "segment_length": 4, "head_dropout": 0.0} | architecture
    model = SequenceForecaster(ForecastArchitecture(**settings), WindowShape(24, 8, 2)).eval()
    torch.manual_seed(1)
    for member in model.members:
        torch.nn.init.normal_(member.head.weight)
    return model


def random_windows(num_windows):
    generator = np.random.default_rng(0)
    history, future = (generator.normal(size=(num_windows, steps, 2)).astype(np.float32) for steps in (24, 8))
    return WindowBatch(np.arange(num_windows), history, future, np.zeros((num_windows, 32, 0), np.float32))


def test_a_measurement_leaves_no_trace(make_model, make_shards):
    model, data = make_model().train(), make_shards("valid", 40)
    torch.manual_seed(3)
    before, weights = torch.get_rng_state(), copy.deepcopy(model.state_dict())

    first, second = (measure_memory(model, data, Training(batch_tokens=256)) for _ in range(2))

    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert first["layer 1"].as_json() == second["layer 1"].as_json()
    assert first["layer 1"].lag[-1] > 8  # of buckets with rows of up to 8 and 16 tokens, the longer


def test_a_network_without_recurrent_cells_has_no_memory_to_measure(make_shards):
    class Average(SequenceClassifier):
        def probe(self, batch, training, *, max_rows):
            return SequenceModel.probe(self, batch, training, max_rows=max_rows)

    model = Average(Architecture(), vocabulary_size=30, num_classes=2)

    assert measure_memory(model, make_shards("valid", 8), Training(batch_tokens=256)) == {}
