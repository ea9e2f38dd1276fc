"""What `fit` yields."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class StepResult:
    """Where training stands within an epoch; `gradient_norm` is that before clipping."""

    epoch: int
    step: int
    num_steps: int
    loss: float
    gradient_norm: float
    rows_per_s: float


@dataclass(frozen=True)
class EpochResult:
    """One finished epoch.

    gradient_norm: median over its steps, before clipping. clipped_share: share of its steps whose gradient was clipped.
    rows_per_s: excludes validation. sample: what a model that writes wrote after it, as token ids.
    """

    epoch: int
    train_loss: float
    valid_loss: float
    valid_metrics: dict[str, float]
    learning_rate: float
    gradient_norm: float
    clipped_share: float
    rows_per_s: float
    wall_s: float
    is_best: bool
    sample: Sequence[int] = ()

    def figures(self) -> dict[str, float]:
        """Every number under a flat name; a metric of the validation rows becomes `valid_<metric>`."""
        figures = asdict(self)
        metrics = figures.pop("valid_metrics")
        del figures["sample"]
        return figures | {f"valid_{name}": value for name, value in metrics.items()}
