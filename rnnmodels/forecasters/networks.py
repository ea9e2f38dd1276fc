"""Networks that read a series step by step, and forecast all steps at once or one after the other.

Shapes: T = L + H steps, L look-back, H horizon, N sequences, K values per step of a sequence, D covariates,
P numbers per value, F = K * P, U hidden units.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.forecasters.forecast_sequences import NetworkSizes, Sequences, StackedCells, build_zero_linear
from rnnmodels.layers.row_parallel import State, as_tuple


class DirectNetwork(nn.Module):
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


class PointwiseNetwork(nn.Module):
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
