"""Pooling of hidden states into one vector per sequence, over real steps only.

Padding is masked by arithmetic (times 0, plus -inf), whose gradient costs nothing extra; states must be finite.
Shapes: T time steps, B batch, H hidden units of all directions, P pooled features.
"""

import torch
from torch import Tensor, nn

from rnnmodels.config import ClassifierArchitecture


class Pooling(nn.Module):
    """Turns hidden states into one vector; nothing after a sequence's end can reach it."""

    def __init__(self, architecture: ClassifierArchitecture, state_size: int) -> None:
        super().__init__()
        self.kind = architecture.pooling
        self.hidden_size = architecture.hidden_size
        self.output_size = state_size * (3 if self.kind == "concat" else 1)
        if self.kind == "attention":
            self.attention = _Attention(state_size)

    def forward(self, states_TBH: Tensor, length_B: Tensor) -> Tensor:
        """Return the pooled vectors (B, P)."""
        match self.kind:
            case "last":
                return last_states(states_TBH, length_B, self.hidden_size)
            case "mean":
                return mean_states(states_TBH, length_B)
            case "max":
                return max_states(states_TBH, length_B)
            case "attention":
                return self.attention(states_TBH, length_B)
            case "concat":
                last_BH = last_states(states_TBH, length_B, self.hidden_size)
                return torch.cat([last_BH, mean_states(states_TBH, length_B), max_states(states_TBH, length_B)], dim=1)


class _Attention(nn.Module):
    """Additive self-attention: Yang et al. 2016, https://aclanthology.org/N16-1174."""

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.project = nn.Linear(state_size, state_size)
        self.score = nn.Linear(state_size, 1, bias=False)

    def forward(self, states_TBH: Tensor, length_B: Tensor) -> Tensor:
        score_TB1 = self.score(torch.tanh(self.project(states_TBH)))
        weight_TB1 = (score_TB1 + _bias_of_padding(states_TBH, length_B)).softmax(dim=0)
        return (states_TBH * weight_TB1).sum(dim=0)


def is_real_step(length_B: Tensor, num_steps: int) -> Tensor:
    """Tell real steps from padding (T, B)."""
    return torch.arange(num_steps, device=length_B.device)[:, None] < length_B


def last_states(states_TBH: Tensor, length_B: Tensor, hidden_size: int) -> Tensor:
    """Return the state after the whole sequence (B, H): the backward direction's stands at step 0."""
    rows_B = torch.arange(length_B.shape[0], device=length_B.device)
    forward_BH = states_TBH[length_B - 1, rows_B, :hidden_size]
    return torch.cat([forward_BH, states_TBH[0, :, hidden_size:]], dim=1)


def mean_states(states_TBH: Tensor, length_B: Tensor) -> Tensor:
    """Average over real steps (B, H)."""
    weight_TB = is_real_step(length_B, states_TBH.shape[0]) / length_B
    return (states_TBH * weight_TB[..., None]).sum(dim=0)


def max_states(states_TBH: Tensor, length_B: Tensor) -> Tensor:
    """Take the largest value over real steps, per unit (B, H)."""
    return (states_TBH + _bias_of_padding(states_TBH, length_B)).max(dim=0).values


def _bias_of_padding(states_TBH: Tensor, length_B: Tensor) -> Tensor:
    """0 at real steps and -inf at padding (T, B, 1)."""
    padding_TB = ~is_real_step(length_B, states_TBH.shape[0])
    return states_TBH.new_zeros(padding_TB.shape).masked_fill(padding_TB, -torch.inf)[..., None]
