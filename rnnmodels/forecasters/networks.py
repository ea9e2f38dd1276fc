"""Networks that read a series in whole segments, or step by step, and forecast all steps at once or one by one.

What they read, and the layers they share, come first.
Shapes: T = L + H steps, L look-back, H horizon, N = B * G sequences, B windows, G sequences of a window, K values per
step of a sequence, D covariates, P numbers per value, F numbers of a step, U hidden units, S steps per segment, M
segments, E embedding.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.forecasters.stacked_cells import ForecastNetwork, StackedCells
from rnnmodels.layers.shared_state_step import step_from_state
from rnnmodels.layers.states import State, as_tuple


@dataclass(frozen=True)
class Sequences:
    """Normalised `values` (L, N, K) and `covariates` (T, N, D); `start` (H, N, K) is what numbers are added to.

    `future` (H, N, K) is the truth, for teacher forcing.
    """

    values: Tensor
    covariates: Tensor
    start: Tensor
    future: Tensor | None = None

    def history(self) -> Tensor:
        """Values and covariates of the history (L, N, K + D)."""
        return torch.cat([self.values, self.covariates[: len(self.values)]], dim=-1)


@dataclass(frozen=True)
class NetworkSizes:
    """Sizes of sequences: `num_sequences` of each window, with `num_values` each."""

    look_back: int
    horizon: int
    num_sequences: int
    num_values: int
    num_covariates: int
    num_outputs: int


def build_zero_linear(input_size: int, output_size: int) -> nn.Linear:
    """A linear layer that starts at zero."""
    linear = nn.Linear(input_size, output_size)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


class DirectNetwork(ForecastNetwork):
    """Reads step by step and forecasts all steps by one linear layer on the last state."""

    def __init__(self, architecture: ForecastArchitecture, sizes: NetworkSizes) -> None:
        super().__init__()
        self.sizes = sizes
        hidden_size, num_numbers = architecture.hidden_size, sizes.num_values * sizes.num_outputs
        self.encoder = StackedCells(
            architecture, sizes.num_values + sizes.num_covariates, dropout=architecture.locked_dropout
        )
        self.dropout = nn.Dropout(architecture.head_dropout)
        self.head = build_zero_linear(hidden_size, sizes.horizon * num_numbers)
        if sizes.num_covariates:
            self.state = nn.Linear(hidden_size, hidden_size)
            self.covariates = nn.Linear(sizes.num_covariates, hidden_size, bias=False)
            self.covariate_head = build_zero_linear(hidden_size, num_numbers)

    def reading_cells(self) -> dict[str, nn.RNNBase]:
        """The cells that read the history, by layer."""
        return self.encoder.named_cells()

    def forward(self, sequences: Sequences) -> Tensor:
        """Return (H, N, K, P)."""
        finals = self.encoder(sequences.history())[1]
        shape = (self.sizes.horizon, self.sizes.num_values, self.sizes.num_outputs)
        with torch.autocast(sequences.values.device.type, enabled=False):
            state_NU = self.dropout(as_tuple(finals[-1])[0][0].float())
            outputs_HNKP = self.head(state_NU).unflatten(-1, shape).transpose(0, 1)
            if self.sizes.num_covariates:
                outputs_HNKP = outputs_HNKP + self._effect_of_covariates(state_NU, sequences).unflatten(-1, shape[1:])
            return outputs_HNKP

    def _effect_of_covariates(self, state_NU: Tensor, sequences: Sequences) -> Tensor:
        """Each step's covariates together with the state, by weights shared over the steps (H, N, F)."""
        known_HND = sequences.covariates[self.sizes.look_back :]
        return self.covariate_head(functional.relu(self.state(state_NU) + self.covariates(known_HND)))


class PointwiseNetwork(ForecastNetwork):
    """An encoder and a decoder that takes its own forecast of a step, and what is known of the next, for input.

    While training, a share of the batches is decoded from the true values instead (teacher forcing).
    """

    def __init__(self, architecture: ForecastArchitecture, sizes: NetworkSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.teacher_forcing = architecture.teacher_forcing
        input_size = sizes.num_values + sizes.num_covariates
        self.encoder = StackedCells(architecture, input_size, dropout=architecture.locked_dropout)
        # A mask drawn anew at each step would not be a locked one, so the decoder drops nothing but at its head.
        self.decoder = StackedCells(architecture, input_size, dropout=0)
        self.dropout = nn.Dropout(architecture.head_dropout)
        self.head = build_zero_linear(architecture.hidden_size, sizes.num_values * sizes.num_outputs)

    def reading_cells(self) -> dict[str, nn.RNNBase]:
        """The cells that read the history, by layer."""
        return self.encoder.named_cells()

    def forward(self, sequences: Sequences) -> Tensor:
        """Return (H, N, K, P)."""
        states = self.encoder(sequences.history())[1]
        if self.training and sequences.future is not None and torch.rand(()) < self.teacher_forcing:
            return self._decode_from_truth(sequences, sequences.future, states)
        return self._decode_from_forecasts(sequences, states)

    def _decode_from_truth(self, sequences: Sequences, future_HNK: Tensor, states: list[State]) -> Tensor:
        values_HNK = torch.cat([sequences.values[-1:], future_HNK[:-1]])
        known_HND = sequences.covariates[self.sizes.look_back :]
        return self._outputs(self.decoder(torch.cat([values_HNK, known_HND], dim=-1), states)[0])

    def _decode_from_forecasts(self, sequences: Sequences, states: list[State]) -> Tensor:
        value_1NK = sequences.values[-1:]
        outputs = []
        for step in range(self.sizes.horizon):
            known_1ND = sequences.covariates[self.sizes.look_back + step][None]
            state_1NU, states = self.decoder(torch.cat([value_1NK, known_1ND], dim=-1), states)
            outputs.append(self._outputs(state_1NU))
            value_1NK = sequences.start[step] + outputs[-1][..., 0]
        return torch.cat(outputs)

    def _outputs(self, states_HNU: Tensor) -> Tensor:
        with torch.autocast(states_HNU.device.type, enabled=False):
            outputs_HNF = self.head(self.dropout(states_HNU.float()))
            return outputs_HNF.unflatten(-1, (self.sizes.num_values, self.sizes.num_outputs))


class SegmentNetwork(ForecastNetwork):
    """Reads segments as tokens and decodes all output segments at once, each one step from the last state.

    Lin et al. 2023, https://arxiv.org/abs/2308.11200 (SegRNN, parallel multi-step forecasting).
    """

    def __init__(self, architecture: ForecastArchitecture, sizes: NetworkSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.length = _checked_length(architecture.segment_length, sizes.look_back)
        self.num_segments = -(-sizes.horizon // self.length)
        hidden_size = architecture.hidden_size
        self.knows_channel = architecture.channel_embedding and sizes.num_sequences > 1
        channel_size = hidden_size // 2 if self.knows_channel else 0
        self.token = nn.Linear(self.length * sizes.num_values + sizes.num_covariates, hidden_size)
        self.cells = StackedCells(architecture, hidden_size, dropout=architecture.locked_dropout)
        self.position_ME = nn.Parameter(torch.randn(self.num_segments, hidden_size - channel_size))
        if self.knows_channel:
            self.channel_GE = nn.Parameter(torch.randn(sizes.num_sequences, channel_size))
        if sizes.num_covariates:
            self.covariates = nn.Linear(sizes.num_covariates, hidden_size, bias=False)
        self.dropout = nn.Dropout(architecture.head_dropout)
        self.head = build_zero_linear(hidden_size, self.length * sizes.num_values * sizes.num_outputs)

    @property
    def steps_per_read(self) -> int:
        """Steps of the history that the cells take at once."""
        return self.length

    def reading_cells(self) -> dict[str, nn.RNNBase]:
        """The cells that read the history, by layer."""
        return self.cells.named_cells()

    def forward(self, sequences: Sequences) -> Tensor:
        """Return (H, N, K, P)."""
        finals = self.cells(self._tokens(sequences))[1]
        with torch.autocast(sequences.values.device.type, enabled=False):
            states_MNU = self._decode(self._queries(sequences), finals)
            return self._to_steps(self.head(self.dropout(states_MNU)))

    def _tokens(self, sequences: Sequences) -> Tensor:
        """Embed the segments of the history (M, N, U); steps before the first whole one are left out."""
        surplus = self.sizes.look_back % self.length
        values_MSNK = sequences.values[surplus:].unflatten(0, (-1, self.length))
        token_MNF = values_MSNK.transpose(1, 2).flatten(2)
        if self.sizes.num_covariates:
            known_MND = self._pool(sequences.covariates[surplus : self.sizes.look_back])
            token_MNF = torch.cat([token_MNF, known_MND], dim=-1)
        return functional.relu(self.token(token_MNF))

    def _queries(self, sequences: Sequences) -> Tensor:
        """Say which segment of which sequence is asked for (M, B, G, U); B and G are 1 where all are asked alike."""
        query_MGE = self.position_ME[:, None]
        if self.knows_channel:
            channel_MGE = self.channel_GE.expand(self.num_segments, -1, -1)
            query_MGE = torch.cat([query_MGE.expand(-1, self.sizes.num_sequences, -1), channel_MGE], dim=-1)
        query_MBGU = query_MGE[:, None]
        if not self.sizes.num_covariates:
            return query_MBGU
        step = torch.arange(self.num_segments * self.length, device=query_MBGU.device)
        known_TND = sequences.covariates[self.sizes.look_back + step.clamp(max=self.sizes.horizon - 1)]
        return query_MBGU + self._by_window(self.covariates(self._pool(known_TND)))

    def _decode(self, x_MBGU: Tensor, finals: list[State]) -> Tensor:
        """Take one step from the last states into each segment of the horizon (M, N, U)."""
        for cell, final in zip(self.cells.cells, finals, strict=True):
            assert isinstance(cell, nn.RNNBase)
            states_BGU = [self._by_window(state_1NU.float())[0] for state_1NU in as_tuple(final)]
            x_MBGU = step_from_state(cell, x_MBGU, *states_BGU)
        return x_MBGU.flatten(1, 2)

    def _pool(self, known_TND: Tensor) -> Tensor:
        """Average covariates over segments (M, N, D)."""
        return known_TND.unflatten(0, (-1, self.length)).mean(dim=1)

    def _by_window(self, x_MNF: Tensor) -> Tensor:
        return x_MNF.unflatten(1, (-1, self.sizes.num_sequences))

    def _to_steps(self, outputs_MNF: Tensor) -> Tensor:
        """Lay segments out as steps (H, N, K, P)."""
        shape = (self.length, self.sizes.num_values, self.sizes.num_outputs)
        return outputs_MNF.unflatten(-1, shape).transpose(1, 2).flatten(0, 1)[: self.sizes.horizon]


def _checked_length(segment_length: int, look_back: int) -> int:
    if segment_length > look_back:
        raise ValueError(f"segment_length: got {segment_length}, expected at most the look-back {look_back}")
    return segment_length
