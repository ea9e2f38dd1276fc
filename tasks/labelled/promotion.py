"""The section `[promotion]` of the recipe of a classifier; apart from the judging, so that commands start fast."""

from typing import Literal

from pydantic import Field

from tasks.promotion.settings import GateSettings


class PromotionSettings(GateSettings):
    """What a challenger must show on the champion's own test rows before it takes its place."""

    metric: Literal["accuracy", "loss"] = Field(
        "accuracy", description="Deciding metric: accuracy (exact McNemar test) or log loss (paired bootstrap)."
    )
    min_effect: float = Field(
        0.001, ge=0, le=1, description="Minimum gain for a promotion, in the metric (0.001 is 0.1 points)."
    )
    min_slice_rows: int = Field(
        200, ge=1, le=10_000_000, description="Minimum rows of a label or length quartile that is checked."
    )
    max_slice_drop: float = Field(
        0.02, ge=0, le=1, description="Maximum loss of accuracy of a checked label or length quartile."
    )
    anchor_tolerance: float = Field(
        0.0, ge=0, le=1, description="Accepted shortfall against the first champion on these rows, in the metric."
    )
    resamples: int = Field(10_000, ge=1000, le=100_000, description="Bootstrap resamples for the test of log loss.")
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the bootstrap.")
