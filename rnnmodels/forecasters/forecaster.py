"""A forecaster: the line in closed form plus what a recurrent network adds to it.

Shapes: B windows, T = L + H steps, L look-back, H horizon, C channels, D covariates, N sequences, K values per step
of a sequence, P numbers per value, W widths.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnmodels.forecasters.forecast_config import ForecastArchitecture, ForecastTraining, resolve_loss
from rnnmodels.forecasters.forecast_outputs import WEIGHTS, Forecast, average_forecasts, build_output, measure_weights
from rnnmodels.forecasters.line import build_views, fit_channel_lines, fit_line
from rnnmodels.forecasters.networks import DirectNetwork, NetworkSizes, PointwiseNetwork, SegmentNetwork, Sequences
from rnnmodels.forecasters.stacked_cells import ForecastNetwork
from rnnmodels.forecasters.windows import WindowBatch, Windows, WindowShape
from rnnmodels.memory.probe import Probe
from rnnmodels.training.evaluation import evaluating
from rnnmodels.training.sequence_model import SequenceModel, Validation

NETWORKS = {"segment": SegmentNetwork, "direct": DirectNetwork, "pointwise": PointwiseNetwork}

MIN_SCALE = 1e-3  # what a history that stands still is divided by
CALM_SCALE = 0.1  # added to the deviation, so that the noise of a calm history is not blown up


class SequenceForecaster(SequenceModel[ForecastArchitecture, WindowBatch, Windows, ForecastTraining]):
    """Maps histories to forecasts of all steps and channels; no window's forecast depends on another window.

    The initial weights are a function of the arguments alone; the global random state is left as it was.
    """

    recurrent_weight: Tensor
    lead_weight_H1: Tensor
    line_LH: Tensor
    channel_line_CNH: Tensor

    def __init__(self, architecture: ForecastArchitecture, shape: WindowShape, *, seed: int = 1) -> None:
        super().__init__()
        self.architecture = architecture
        self.shape = shape
        self.is_joint = architecture.channels == "joint"
        self.output = build_output(architecture, shape.num_channels)
        self.members = nn.ModuleList(self._build_members(seed))
        self.register_buffer("recurrent_weight", torch.ones(()))
        self.register_buffer("lead_weight_H1", weigh_leads(shape.horizon, architecture.lead_decay), persistent=False)
        if self.has_line:
            self.register_buffer("line_LH", torch.zeros(shape.look_back, shape.horizon))
        if self.has_channel_lines:
            size = (shape.num_channels, architecture.channel_steps, shape.horizon)
            self.register_buffer("channel_line_CNH", torch.zeros(size))

    def _build_members(self, seed: int) -> list[nn.Module]:
        """Make the networks, each as a function of the seed and its own number."""
        shape = self.shape
        sizes = NetworkSizes(
            look_back=shape.look_back,
            horizon=shape.horizon,
            num_sequences=1 if self.is_joint else shape.num_channels,
            num_values=shape.num_channels if self.is_joint else 1,
            num_covariates=shape.num_covariates,
            num_outputs=1 + self.output.num_widths,
        )
        members = []
        with torch.random.fork_rng(devices=[]):
            for member in range(self.architecture.members):
                member_seed = np.random.SeedSequence((seed, member)).generate_state(1)
                torch.random.default_generator.manual_seed(int(member_seed[0]))
                members.append(NETWORKS[self.architecture.decoder](self.architecture, sizes))
        return members

    @property
    def has_line(self) -> bool:
        """Tell whether there is a line."""
        return bool(self.architecture.line_views)

    @property
    def has_channel_lines(self) -> bool:
        """Tell whether each channel adds a line of its own to that of all."""
        return self.has_line and self.architecture.channel_steps > 0

    def forward(self, history_BLC: Tensor, covariates_BTD: Tensor) -> Forecast:
        """Forecast with the recurrent part weighted as validation chose; all in float32."""
        return self.compose(history_BLC, covariates_BTD).weighted(self.recurrent_weight)

    def compose(self, history_BLC: Tensor, covariates_BTD: Tensor) -> Forecast:
        """Forecast with the recurrent part in full: the mean of its members."""
        return average_forecasts(self.compose_members(history_BLC, covariates_BTD))

    def compose_members(
        self, history_BLC: Tensor, covariates_BTD: Tensor, *, future_BHC: Tensor | None = None
    ) -> list[Forecast]:
        """Forecast with each member in full, as it is trained; `future_BHC` serves teacher forcing.

        Under autocast only the recurrent layers change their arithmetic.
        """
        centre_B1C, scale_B1C = self._measure_level(history_BLC)
        level_BHC = centre_B1C.expand(-1, self.shape.horizon, -1)
        base_BHC = self._draw_line(history_BLC) if self.has_line else level_BHC
        start_BHC = torch.lerp(level_BHC, base_BHC, self.architecture.line_share)

        def normalized(x_BTC: Tensor) -> Tensor:
            return self._to_sequences((x_BTC - centre_B1C) / scale_B1C)

        sequences = Sequences(
            values=normalized(history_BLC),
            covariates=self._spread_covariates(covariates_BTD),
            start=normalized(start_BHC),
            future=None if future_BHC is None else normalized(future_BHC),
        )

        def compose(member: nn.Module) -> Forecast:
            numbers_BHCP = self._from_sequences(member(sequences))
            addition_BHC = self.lead_weight_H1 * ((start_BHC - base_BHC) + scale_B1C * numbers_BHCP[..., 0])
            return Forecast(base_BHC, addition_BHC, scale_B1C[..., None] * self.output.widths(numbers_BHCP[..., 1:]))

        return [compose(member) for member in self.members]

    def prepare(self, train: Windows, valid: Windows) -> dict[str, float]:
        """Fit the line before training, in closed form; returns what was chosen, nothing without a line.

        Raises ValueError where a split has no windows, or the look-back is too short for a view.
        """
        if not self.has_line:
            return {}
        views = build_views(self.architecture, self.shape.look_back)
        line = fit_line(train, valid, self.architecture.ridge_penalties, views, self.architecture.ridge_blocks)
        self.line_LH.copy_(torch.from_numpy(line.weights))
        chosen = {f"ridge_penalty_{view}": penalty for view, penalty in line.penalties.items()}
        chosen["ridge_valid_mse"] = line.valid_mse
        if self.has_channel_lines:
            steps, penalty = self.architecture.channel_steps, self.architecture.channel_penalty
            own = fit_channel_lines(train, valid, line.weights, steps, penalty)
            self.channel_line_CNH.copy_(torch.from_numpy(own.weights))
            chosen["channel_valid_mse"] = own.valid_mse
        return chosen

    def finish(self, valid: Windows, training: ForecastTraining) -> dict[str, float]:
        """Choose the weight of the recurrent part after training, so that on validation the line is never better."""
        weight = self.validate(valid, training).metrics["recurrent_weight"]
        self.recurrent_weight.fill_(weight)
        return {"recurrent_weight": weight}

    def loss(self, batch: WindowBatch, training: ForecastTraining) -> Tensor:
        """Mean loss over members, windows, steps and channels."""
        target_BHC = self._to_device(batch.future)
        forecasts = self.compose_members(
            self._to_device(batch.history), self._to_device(batch.covariates), future_BHC=target_BHC
        )
        with torch.autocast(target_BHC.device.type, enabled=False):
            loss_of_values = self._loss_of_values(training)
            return torch.stack([loss_of_values(forecast, target_BHC).mean() for forecast in forecasts]).mean()

    def validate(self, data: Windows, training: ForecastTraining) -> Validation:
        """Score windows with the weight of the recurrent part that is best for what `training` selects by."""
        weights = WEIGHTS if self.has_line else WEIGHTS[-1:]
        with evaluating(self):
            forecasts = (self._compose_batch(batch) for batch in data.batches(training.batch_size))
            measures = measure_weights(forecasts, self._loss_of_values(training), weights)
        best = measures.best(training.selection)
        metrics = {"mse": measures.values["mse"][best], "mae": measures.values["mae"][best]}
        return Validation(
            measures.values[training.selection][best], metrics | {"recurrent_weight": measures.weights[best]}
        )

    def probe(self, batch: WindowBatch, training: ForecastTraining, *, max_rows: int) -> Probe:
        """Offer windows, whose forecasts see nothing of the cells but their last states."""
        rows, cells, stride = batch.first(max_rows), {}, 1
        for number, member in enumerate(self.members, start=1):
            assert isinstance(member, ForecastNetwork)
            prefix, stride = f"member {number} " if len(self.members) > 1 else "", member.steps_per_read
            cells |= {prefix + name: cell for name, cell in member.reading_cells().items()}
        num_sequences = len(rows.row) * (1 if self.is_joint else self.shape.num_channels)
        length_N = torch.full((num_sequences,), self.shape.look_back // stride)
        return Probe(cells, length_N, lambda: self.loss(rows, training) * len(rows.row), stride)

    def check(self, data: Windows) -> None:
        """Raise ValueError for windows of another shape, or naming the first row with a value that is not finite."""
        if data.shape != self.shape:
            raise ValueError(f"{data.place}: got windows of {data.shape}, expected {self.shape}")
        data.segments.check_finite()

    def description(self) -> dict[str, object]:
        """Architecture and shape of the windows."""
        return {"architecture": self.architecture.model_dump(mode="json"), "shape": asdict(self.shape)}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Build a forecaster from its architecture and shape."""
        return cls(ForecastArchitecture(**description["architecture"]), WindowShape(**description["shape"]))

    def _compose_batch(self, batch: WindowBatch) -> tuple[Forecast, Tensor]:
        forecast = self.compose(self._to_device(batch.history), self._to_device(batch.covariates))
        return forecast, self._to_device(batch.future)

    def _loss_of_values(self, training: ForecastTraining) -> Callable[[Forecast, Tensor], Tensor]:
        return functools.partial(self.output.loss, kind=resolve_loss(self.architecture, training))

    def _to_device(self, values: NDArray[np.float32]) -> Tensor:
        # A copy in memory of torch's own is aligned alike in every run, which numpy's arrays are not.
        return torch.tensor(values, device=self.recurrent_weight.device)

    def _measure_level(self, history_BLC: Tensor) -> tuple[Tensor, Tensor]:
        """What to subtract from a window and what to divide it by (B, 1, C)."""
        one_B1C = torch.ones_like(history_BLC[:, -1:])
        match self.architecture.normalization:
            case "last":
                return history_BLC[:, -1:], one_B1C
            case "last-scaled":
                return history_BLC[:, -1:], history_BLC.std(dim=1, correction=0, keepdim=True) + CALM_SCALE
            case "mean":
                return history_BLC.mean(dim=1, keepdim=True), one_B1C
            case "instance":
                deviation_B1C, mean_B1C = torch.std_mean(history_BLC, dim=1, correction=0, keepdim=True)
                return mean_B1C, deviation_B1C.clamp(min=MIN_SCALE)
            case "none":
                return torch.zeros_like(one_B1C), one_B1C

    def _draw_line(self, history_BLC: Tensor) -> Tensor:
        """Forecast by the line alone (B, H, C)."""
        last_B1C = history_BLC[:, -1:]
        with torch.autocast(history_BLC.device.type, enabled=False):
            change_BCL = (history_BLC - last_B1C).transpose(1, 2)
            line_BCH = change_BCL @ self.line_LH
            if self.has_channel_lines:
                recent_BCN = change_BCL[..., -self.architecture.channel_steps :]
                line_BCH = line_BCH + torch.einsum("bcn,cnh->bch", recent_BCN, self.channel_line_CNH)
            return line_BCH.transpose(1, 2) + last_B1C

    def _to_sequences(self, x_BTC: Tensor) -> Tensor:
        """Lay windows out time-major: one sequence of all channels, or one of each (T, N, K)."""
        x_TBC = x_BTC.transpose(0, 1)
        return x_TBC if self.is_joint else x_TBC.flatten(1)[..., None]

    def _from_sequences(self, numbers_HNKP: Tensor) -> Tensor:
        """Lay a network's numbers out by window and channel (B, H, C, P)."""
        num_sequences = 1 if self.is_joint else self.shape.num_channels
        return numbers_HNKP.unflatten(1, (-1, num_sequences)).flatten(2, 3).transpose(0, 1)

    def _spread_covariates(self, covariates_BTD: Tensor) -> Tensor:
        """Give each sequence its window's covariates (T, N, D)."""
        num_sequences = 1 if self.is_joint else self.shape.num_channels
        return covariates_BTD.transpose(0, 1).repeat_interleave(num_sequences, dim=1)


def weigh_leads(horizon: int, lead_decay: float) -> Tensor:
    """How much the recurrent part counts at each step ahead (H, 1): exp(-step / decay), or 1 without a decay."""
    step_H1 = torch.arange(horizon)[:, None]
    return torch.exp(-step_H1 / lead_decay) if lead_decay else torch.ones(horizon, 1)
