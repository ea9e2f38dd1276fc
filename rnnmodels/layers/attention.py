"""A transformer encoder, the reference to compare recurrent layers with: the same inputs, outputs and states.

Pre-norm blocks (Xiong et al. 2020, https://arxiv.org/abs/2002.04745) with rotary positions (Su et al. 2021,
https://arxiv.org/abs/2104.09864), which tell distances alone; what was read before is remembered as the inputs of each
block (Dai et al. 2019, https://arxiv.org/abs/1901.02860).
Shapes: T time steps, M remembered steps, K = M + T steps to look at, B batch, F input features, H hidden units, A
heads, D = H / A units of a head.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnmodels.config import TransformerArchitecture
from rnnmodels.layers.pooling import is_real_step
from rnnmodels.layers.states import State

EXPANSION = 4
ROTATION_BASE = 10_000
INITIAL_STD = 0.02


class TransformerEncoder(nn.Module):
    """Blocks of self-attention; padding, batch-mates and batch size change nothing at a real step."""

    def __init__(self, architecture: TransformerArchitecture, input_size: int) -> None:
        super().__init__()
        self.output_size = architecture.hidden_size
        self.context = architecture.context
        self.is_causal = not architecture.bidirectional
        self.project = nn.Linear(input_size, self.output_size)
        self.layers = nn.ModuleList(Block(architecture) for _ in range(architecture.num_layers))
        self.norm = nn.LayerNorm(self.output_size)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INITIAL_STD)
                nn.init.zeros_(module.bias)

    def forward(self, x_TBF: Tensor, length_B: Tensor) -> Tensor:
        """Return the last block's hidden states (T, B, H); those after a sequence's end are arbitrary."""
        num_steps = x_TBF.shape[0]
        seen_B1TK = is_real_step(length_B, num_steps).T[:, None, None, :]
        if self.is_causal:
            seen_B1TK = seen_B1TK & self._is_near(num_steps, num_steps, x_TBF.device)
        x_TBH = self.project(x_TBF)
        for layer in self.layers:
            x_TBH = layer(x_TBH, x_TBH, seen_B1TK)
        return self.norm(x_TBH)

    def advance(self, x_TBF: Tensor, states: Sequence[State] | None) -> tuple[Tensor, list[State]]:
        """Go on from what each block remembers (M, B, H), and which of it is real (M, B, 1)."""
        x_TBH, finals = self.project(x_TBF), []
        for layer, state in zip(self.layers, states or [None] * len(self.layers), strict=True):
            known_KBH, real_KB1 = _extend(state, x_TBH)
            near_TK = self._is_near(len(x_TBH), len(known_KBH), x_TBF.device)
            seen_B1TK = near_TK & (real_KB1[..., 0] > 0).T[:, None, None, :]
            finals.append((known_KBH[-self.context :].detach(), real_KB1[-self.context :]))
            x_TBH = layer(x_TBH, known_KBH, seen_B1TK)
        return self.norm(x_TBH), finals

    def top_weights(self) -> list[nn.Parameter]:
        """The weights above the last block."""
        return list(self.norm.parameters())

    def named_cells(self) -> dict[str, nn.RNNBase]:
        """It has no recurrent cells."""
        return {}

    def _is_near(self, num_steps: int, num_known: int, device: torch.device) -> Tensor:
        """Tell for each of the last steps which known ones it sees: itself and those within the context (T, K)."""
        step_T1 = torch.arange(num_known - num_steps, num_known, device=device)[:, None]
        distance_TK = step_T1 - torch.arange(num_known, device=device)
        return (distance_TK >= 0) & (distance_TK <= self.context)


class Block(nn.Module):
    """Self-attention, then a layer of units on their own, each added to what it read."""

    def __init__(self, architecture: TransformerArchitecture) -> None:
        super().__init__()
        size = architecture.hidden_size
        self.num_heads = architecture.num_heads
        self.norms = nn.ModuleList([nn.LayerNorm(size), nn.LayerNorm(size)])
        self.query, self.key_value, self.joined = (
            nn.Linear(size, size),
            nn.Linear(size, 2 * size),
            nn.Linear(size, size),
        )
        self.expand, self.contract = nn.Linear(size, EXPANSION * size), nn.Linear(EXPANSION * size, size)
        self.dropout = nn.Dropout(architecture.locked_dropout)

    def forward(self, x_TBH: Tensor, known_KBH: Tensor, seen_B1TK: Tensor) -> Tensor:
        """Return (T, B, H) of steps that see some of the known ones."""
        query_TBH, key_value = self.query(self.norms[0](x_TBH)), self.key_value(self.norms[0](known_KBH))
        key_KBH, value_KBH = key_value.chunk(2, dim=-1)
        attended_BATD = functional.scaled_dot_product_attention(
            rotate(self._by_head(query_TBH), first=len(known_KBH) - len(x_TBH)),
            rotate(self._by_head(key_KBH)),
            self._by_head(value_KBH),
            attn_mask=seen_B1TK,
        )
        x_TBH = x_TBH + self.dropout(self.joined(attended_BATD.permute(2, 0, 1, 3).flatten(2)))
        return x_TBH + self.dropout(self.contract(functional.gelu(self.expand(self.norms[1](x_TBH)))))

    def _by_head(self, x_TBH: Tensor) -> Tensor:
        return x_TBH.unflatten(-1, (self.num_heads, -1)).permute(1, 2, 0, 3)


def rotate(x_BATD: Tensor, *, first: int = 0) -> Tensor:
    """Turn pairs of units by angles that grow with the step, counted from `first`, at a rate of each pair's own."""
    num_steps, size = x_BATD.shape[-2:]
    pair_D = torch.arange(size // 2, device=x_BATD.device)
    step_T1 = torch.arange(first, first + num_steps, device=x_BATD.device)[:, None]
    angle_TD = step_T1 * ROTATION_BASE ** (-2 * pair_D / size)
    left, right = x_BATD.chunk(2, dim=-1)
    cosine, sine = angle_TD.cos().to(x_BATD), angle_TD.sin().to(x_BATD)
    return torch.cat([left * cosine - right * sine, left * sine + right * cosine], dim=-1)


def _extend(state: State | None, x_TBH: Tensor) -> tuple[Tensor, Tensor]:
    """What is remembered and then the steps themselves, and which of these steps are real."""
    real_TB1 = x_TBH.new_ones(*x_TBH.shape[:2], 1)
    if not isinstance(state, tuple):
        return x_TBH, real_TB1
    # A checkpoint holds them as float32, to which all steps would be promoted.
    remembered_MBH, real_MB1 = (part.to(x_TBH.dtype) for part in state)
    return torch.cat([remembered_MBH, x_TBH]), torch.cat([real_MB1, real_TB1])
