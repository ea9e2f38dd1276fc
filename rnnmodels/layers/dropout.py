"""Dropout for sequences.

Shapes: T time steps, B batch, F features. Gal, Ghahramani 2016, https://arxiv.org/abs/1512.05287.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class LockedDropout(nn.Module):
    """Dropout that drops a feature of a sequence at all time steps or at none."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x_TBF: Tensor) -> Tensor:
        """Return `x_TBF` with dropped features at 0 and kept ones scaled up."""
        if not self.training or self.share == 0:
            return x_TBF
        return x_TBF * functional.dropout(torch.ones_like(x_TBF[0]), self.share)


class DropoutEmbedding(nn.Embedding):
    """An embedding that drops whole vocabulary entries, wherever in the batch they occur."""

    def __init__(self, num_embeddings: int, embedding_dim: int, *, share: float) -> None:
        super().__init__(num_embeddings, embedding_dim)
        self.share = share

    def forward(self, tokens_TB: Tensor) -> Tensor:
        """Return the token vectors (T, B, F)."""
        x_TBF = super().forward(tokens_TB)
        if not self.training or self.share == 0:
            return x_TBF
        # One number per entry, gathered per token: masking the whole matrix would cost F times as much.
        scale_V = functional.dropout(self.weight.new_ones(self.num_embeddings), self.share)
        return x_TBF * scale_V[tokens_TB].unsqueeze(-1)


def drop_recurrent_weights(cell: nn.RNNBase, share: float) -> list[Tensor] | None:
    """A cell's weights for one batch: a share of the recurrent ones is dropped for all steps and rows.

    None where nothing is dropped. Merity, Keskar, Socher 2017, https://arxiv.org/abs/1708.02182: unlike dropout of
    states, it leaves the fused kernels alone.
    """
    if not cell.training or share == 0:
        return None
    weight_x, weight_h, *biases = cell.all_weights[0]
    return [weight_x, functional.dropout(weight_h, share), *biases]
