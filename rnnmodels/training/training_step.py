"""One update of a model's weights: loss, gradients, clipping, AdamW."""

from dataclasses import dataclass

import numpy as np
import torch

from rnnmodels.config import Optimization
from rnnmodels.training.sequence_model import AnyModel, Batch

BETAS = (0.9, 0.99)
MAX_NAMED_ROWS = 10


class NonFiniteError(FloatingPointError):
    """The loss or a gradient is NaN or infinite; the weights are those before the step."""

    def __init__(self, what: str, value: float, *, epoch: int, step: int, rows: tuple[int, ...]) -> None:
        self.epoch, self.step, self.rows = epoch, step, rows
        named = ", ".join(str(row) for row in rows[:MAX_NAMED_ROWS]) + (", ..." if len(rows) > MAX_NAMED_ROWS else "")
        super().__init__(f"epoch {epoch} step {step}: the {what} is {value}; rows of the batch: {named}")


@dataclass(frozen=True)
class StepFigures:
    """Loss and gradient norm (before clipping) of one step, and whether the gradient was clipped."""

    loss: float
    gradient_norm: float
    is_clipped: bool


def build_optimizer(model: AnyModel, training: Optimization) -> torch.optim.AdamW:
    """AdamW in one fused kernel; biases are not decayed, and each group knows the `depth` of its layer."""
    groups = [
        {"params": weights, "weight_decay": decay, "depth": depth}
        for depth, layer in enumerate(model.layers_from_top())
        for weights, decay in (
            ([weight for weight in layer if weight.ndim > 1], training.weight_decay),
            ([weight for weight in layer if weight.ndim == 1], 0.0),
        )
        if weights
    ]
    return torch.optim.AdamW(groups, lr=training.learning_rate, betas=BETAS, fused=True)


class TrainingStep:
    """Updates a model by one batch at a time; `precision` is the arithmetic of the recurrent layers."""

    def __init__(self, model: AnyModel, training: Optimization, precision: torch.dtype) -> None:
        self.model = model
        self.training = training
        self.precision = precision
        self.weights = list(model.parameters())
        self.device = self.weights[0].device
        self.optimizer = build_optimizer(model, training)

    def run(self, batch: Batch, *, rate: float, epoch: int, step: int) -> StepFigures:
        """Update the weights; raises NonFiniteError before it would damage them."""
        loss = self._loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        self._freeze(epoch)
        norm = torch.nn.utils.get_total_norm([weight.grad for weight in self.weights if weight.grad is not None])
        figures = StepFigures(loss.item(), norm.item(), is_clipped=norm.item() > self.training.clip_norm)
        for what, value in (("loss", figures.loss), ("gradient norm", figures.gradient_norm)):
            if not np.isfinite(value):
                raise NonFiniteError(what, value, epoch=epoch, step=step, rows=tuple(batch.row.tolist()))
        if figures.is_clipped:
            torch.nn.utils.clip_grads_with_norm_(self.weights, self.training.clip_norm, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * self.training.rate_share(group["depth"], epoch)
        self.optimizer.step()
        return figures

    def _freeze(self, epoch: int) -> None:
        """Drop the gradients of layers that rest, lest they count in the norm."""
        for group in self.optimizer.param_groups:
            if self.training.rate_share(group["depth"], epoch) == 0:
                for weight in group["params"]:
                    weight.grad = None

    def _loss(self, batch: Batch) -> torch.Tensor:
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            return self.model.loss(batch, self.training)
