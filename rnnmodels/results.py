"""What `fit` yields."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepResult:
    """Where training stands within an epoch; `gradient_norm` is that before clipping."""

    epoch: int
    step: int
    num_steps: int
    loss: float
    gradient_norm: float
    learning_rate: float
    rows_per_s: float
    wall_s: float


@dataclass(frozen=True)
class EpochResult:
    """One finished epoch; `gradient_norm` is the median over its steps, `rows_per_s` excludes validation."""

    epoch: int
    train_loss: float
    valid_loss: float
    valid_accuracy: float
    learning_rate: float
    gradient_norm: float
    rows_per_s: float
    wall_s: float
    is_best: bool
