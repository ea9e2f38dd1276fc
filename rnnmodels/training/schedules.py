"""Learning-rate schedules as plain arithmetic: a factor of the peak rate, with state that is JSON."""

import math
from dataclasses import dataclass

from rnnmodels.config import Optimization

START_SHARE = 1 / 25
END_SHARE = 1e-4
PLATEAU_FACTOR = 0.5


@dataclass
class Schedule:
    """The rate of each step; `plateau_factor` shrinks while the validation loss stands still."""

    training: Optimization
    num_steps: int
    plateau_factor: float = 1.0

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0 over all epochs."""
        peak = self.training.learning_rate
        match self.training.schedule:
            case "one-cycle":
                warmup_share = self.training.warmup_share
                progress = step / (self.num_steps - 1) if self.num_steps > 1 else warmup_share
                return peak * one_cycle(progress, warmup_share)
            case "plateau":
                return peak * self.plateau_factor
            case "constant":
                return peak

    def close_epoch(self, *, is_best: bool) -> None:
        """Halve the rate of `plateau` after an epoch without a lower validation loss."""
        if self.training.schedule == "plateau" and not is_best:
            self.plateau_factor *= PLATEAU_FACTOR


def one_cycle(progress: float, warmup_share: float) -> float:
    """Rise from 1/25 to 1 and fall to nearly 0, both along a cosine; `progress` runs from 0 to 1.

    Smith, Topin 2018, https://arxiv.org/abs/1708.07120.
    """
    if progress < warmup_share:
        return _cosine(START_SHARE, 1, progress / warmup_share)
    return _cosine(1, END_SHARE, (progress - warmup_share) / (1 - warmup_share))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
