"""Exponential moving average of weights.

Kingma, Ba 2015, section 3, https://arxiv.org/abs/1412.6980 (the correction of the start's bias).
"""

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class AveragedWeights:
    """A bias-corrected moving average: after n updates, weights count decay**age, normalised to sum to 1."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.num_updates = 0
        self.weights = copy_of_weights(model)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the model's present weights into the average."""
        self.num_updates += 1
        newest_share = (1 - self.decay) / (1 - self.decay**self.num_updates)
        names, newest = zip(*model.named_parameters(), strict=True)
        torch._foreach_lerp_([self.weights[name] for name in names], newest, newest_share)

    @contextmanager
    def applied(self, model: nn.Module) -> Generator[None]:
        """Let the model use the averaged weights for the duration of a block."""
        own = copy_of_weights(model)
        copy_weights(self.weights, model)
        try:
            yield
        finally:
            copy_weights(own, model)


def copy_of_weights(model: nn.Module) -> dict[str, Tensor]:
    """Clone the model's weights."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


@torch.no_grad()
def copy_weights(weights: dict[str, Tensor], model: nn.Module) -> None:
    """Overwrite the model's weights in place."""
    for name, weight in model.named_parameters():
        weight.copy_(weights[name])
