"""A network that says what comes next, as far as it is asked for that.

Shapes: T time steps, S streams, F features, H hidden units, V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

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
    """Reads token ids step by step; `head` makes logits of its features."""

    vocabulary_size: int
    head: nn.Linear

    @abstractmethod
    def read(self, tokens_TS: Tensor, states: Sequence[State] | None = None) -> Read:
        """Read token ids, going on from `states`, or from a state of zeros."""

    def advance(self, tokens_TS: Tensor, states: Sequence[State] | None = None) -> tuple[Tensor, list[State]]:
        """Return the float32 logits (T, S, V) of what follows each token, and the states to go on from."""
        read = self.read(tokens_TS, states)
        return self.head(read.features), read.states

    def to_device(self, ids: Ids) -> Tensor:
        """Token ids as an int64 tensor where the weights are."""
        return torch.from_numpy(ids.astype(np.int64)).to(self.head.weight.device)
