"""The best candidate joined with the best baseline: the settings of it, and what is told of the join."""

from typing import Annotated

from pydantic import Field

from rnnmodels.config import Settings
from tasks.contract.summaries import FittedSummary

STACKED = "stacked"


class StackSettings(Settings):
    """Whether the best candidate joined with the best baseline is a candidate, too."""

    with_baseline: bool = Field(
        True, description="Also judge the best candidate joined with the best baseline, both chosen on validation."
    )
    weights: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = Field(
        (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.4, 2, 3, 5),
        min_length=1,
        max_length=50,
        description="Weights of the baseline's calibrated logits, those of the candidate counting once; the lowest "
        "validation loss decides.",
    )


class StackedSummary(FittedSummary):
    """A candidate that was joined with a baseline.

    joins, joined_with: names of the candidate and of the baseline. weight: of the latter's calibrated logits, those of
    the former counting once. scales: what the logits of the two, as they are, are multiplied by before they are added.
    """

    joins: str
    joined_with: str
    weight: float
    scales: tuple[float, float]
