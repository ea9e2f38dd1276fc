"""The segment network: equal to its paper's formulas written out with torch's own cells."""

import pytest
import torch
from torch import nn

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.forecasters.networks import NetworkSizes, SegmentNetwork, Sequences

pytestmark = pytest.mark.numeric

LENGTH, HIDDEN = 4, 6


def build(*, look_back, horizon, **architecture):
    torch.manual_seed(0)
    settings = ForecastArchitecture(segment_length=LENGTH, hidden_size=HIDDEN, **architecture)
    sizes = NetworkSizes(
        look_back=look_back, horizon=horizon, num_sequences=3, num_values=1, num_covariates=0, num_outputs=1
    )
    network = SegmentNetwork(settings, sizes).eval()
    nn.init.normal_(network.head.weight)
    return network


def sequences_of(values_LNK, horizon):
    known = values_LNK.new_empty(len(values_LNK) + horizon, values_LNK.shape[1], 0)
    return Sequences(values_LNK, known, values_LNK.new_zeros(horizon, *values_LNK.shape[1:]))


@pytest.mark.parametrize("knows_channel", [True, False])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_forecasts_are_those_of_the_formulas(cell, knows_channel):
    network = build(look_back=12, horizon=8, cell=cell, channel_embedding=knows_channel)
    values_LN = torch.randn(12, 6)
    token_MNU = torch.relu(network.token(values_LN.reshape(3, LENGTH, 6).transpose(1, 2)))
    torch_cell = network.cells.cells[0]
    final = torch_cell(token_MNU)[1]
    forecasts_HN = torch.empty(8, 6)
    for segment in range(2):
        for sequence in range(6):
            state = tuple(part[:, [sequence]].contiguous() for part in (final if cell == "lstm" else [final]))
            channel = [network.channel_GE[sequence % 3]] if knows_channel else []
            query = torch.cat([network.position_ME[segment], *channel])
            hidden = torch_cell(query[None, None], state if cell == "lstm" else state[0])[0]
            forecasts_HN[segment * LENGTH : (segment + 1) * LENGTH, sequence] = network.head(hidden)[0, 0]
    torch.testing.assert_close(network(sequences_of(values_LN[..., None], 8))[..., 0, 0], forecasts_HN)


@pytest.mark.parametrize("knows_channel", [True, False])
def test_equal_channels_are_forecast_alike_only_where_none_knows_which_it_is(knows_channel):
    network = build(look_back=12, horizon=8, channel_embedding=knows_channel)
    forecasts_HN = network(sequences_of(torch.randn(12, 1, 1).expand(-1, 6, -1), 8))[..., 0, 0]
    # Equal rows of a product may be added up in another order, by where they stand in it.
    assert torch.allclose(forecasts_HN[:, 0], forecasts_HN[:, 3], atol=1e-6)
    assert torch.allclose(forecasts_HN[:, 0], forecasts_HN[:, 1], atol=1e-6) == (not knows_channel)


def test_a_horizon_of_no_whole_number_of_segments_is_the_start_of_a_longer_one():
    values_LNK = torch.randn(12, 6, 1)
    short, long = build(look_back=12, horizon=6), build(look_back=12, horizon=8)
    assert torch.equal(short(sequences_of(values_LNK, 6)), long(sequences_of(values_LNK, 8))[:6])


def test_steps_before_the_first_whole_segment_are_not_read():
    network, values_LNK = build(look_back=14, horizon=4), torch.randn(14, 6, 1)
    changed = values_LNK.clone()
    changed[:2] += 1
    assert torch.equal(network(sequences_of(values_LNK, 4)), network(sequences_of(changed, 4)))
    changed[2] += 1
    assert not torch.equal(network(sequences_of(values_LNK, 4)), network(sequences_of(changed, 4)))


def test_a_segment_longer_than_the_look_back_is_refused():
    with pytest.raises(ValueError, match=r"^segment_length: got 4, expected at most the look-back 3$"):
        build(look_back=3, horizon=4)
