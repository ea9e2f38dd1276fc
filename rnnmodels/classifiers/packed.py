"""The reference: the same weights run through stock `torch.nn` modules on packed sequences.

It is slow on a CPU (every step has a batch size of its own), so it only serves comparisons.
Shapes: T time steps, B batch, F input features, H hidden units of all directions.
"""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnmodels.classifiers.classifier import AnyClassifier
from rnnmodels.layers.cells import RecurrentLayer

Classifier = TypeVar("Classifier", bound=AnyClassifier)


class PackedLayer(nn.Module):
    """A stock (bidirectional) layer over packed sequences; it shares the weights of the layer it mirrors."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        assert isinstance(layer, RecurrentLayer)
        self.stock = stock_layer(layer)

    def forward(self, x_TBF: Tensor, length_B: Tensor) -> Tensor:
        """Return the hidden states (T, B, H); those after a sequence's end are 0."""
        packed = pack_padded_sequence(x_TBF, length_B.cpu(), enforce_sorted=False)
        states, _ = self.stock(packed)
        states_TBH, _ = pad_packed_sequence(states, total_length=x_TBF.shape[0])
        return states_TBH


def packed_twin(model: Classifier) -> Classifier:
    """Make a classifier with the very same weights (shared, not copied) that packs its sequences."""
    shared = {id(weight): weight for weight in model.parameters()}
    twin = copy.deepcopy(model, shared)
    twin.encoder.layers = nn.ModuleList(PackedLayer(layer) for layer in model.encoder.layers)
    return twin


def stock_layer(layer: RecurrentLayer) -> nn.RNNBase:
    """Make torch's own (bidirectional) layer around the weights of one of ours."""
    first = layer.directions[0]
    assert isinstance(first, nn.RNN | nn.GRU | nn.LSTM)
    nonlinearity = {"nonlinearity": first.nonlinearity} if isinstance(first, nn.RNN) else {}
    with torch.device("meta"):
        stock = type(first)(
            first.input_size, first.hidden_size, bidirectional=len(layer.directions) > 1, **nonlinearity
        )
    for cell, suffix in zip(layer.directions, ("", "_reverse"), strict=False):
        for name, weight in cell.named_parameters():
            setattr(stock, name + suffix, weight)
    return stock
