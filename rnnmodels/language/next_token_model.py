"""A network that says what comes next, as far as it is asked for that.

Shapes: T time steps, S streams, F features, H hidden units, V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnmodels.language.token_streams import Ids
from rnnmodels.layers.states import State


class Read(NamedTuple):
    """What a model makes of some steps.

    hidden: the last layer's states (T, S, H); features: what the softmax reads of them (T, S, F); states: those of all
    layers, to go on from.
    """

    hidden: Tensor
    features: Tensor
    states: list[State]


class NextTokenModel(nn.Module, ABC):
    """Reads token ids step by step, and makes logits of its features by one linear layer."""

    vocabulary_size: int

    @abstractmethod
    def output_layer(self) -> tuple[Tensor, Tensor]:
        """Weights (V, F) and biases (V,) of the layer that makes logits."""

    @abstractmethod
    def read(self, tokens_TS: Tensor, states: Sequence[State] | None = None) -> Read:
        """Read token ids, going on from `states`, or from a state of zeros."""

    def advance(self, tokens_TS: Tensor, states: Sequence[State] | None = None) -> tuple[Tensor, list[State]]:
        """Return the float32 logits (T, S, V) of what follows each token, and the states to go on from."""
        read = self.read(tokens_TS, states)
        return self.logits(read.features), read.states

    def logits(self, features_TSF: Tensor) -> Tensor:
        """Logits (T, S, V) of features."""
        return functional.linear(features_TSF, *self.output_layer())

    def to_device(self, ids: Ids) -> Tensor:
        """Token ids as an int64 tensor where the weights are."""
        return torch.from_numpy(ids.astype(np.int64)).to(self.output_layer()[0].device)
