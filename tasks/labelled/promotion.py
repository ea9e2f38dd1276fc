"""The section `[promotion]` of the recipe of a classifier; apart from the judging, so that commands start fast."""

from typing import Literal

from pydantic import Field

from tasks.promotion.settings import GateSettings


class PromotionSettings(GateSettings):
    """What a challenger must show on the champion's own test rows before it takes its place."""

    metric: Literal["accuracy", "loss"] = Field(
        "accuracy", description="What decides: accuracy (exact McNemar test) or log loss (paired bootstrap)."
    )
    min_effect: float = Field(
        0.001, ge=0, le=1, description="Least gain that is worth a change, in the metric (0.001 is 0.1 points)."
    )
    min_slice_rows: int = Field(
        200, ge=1, le=10_000_000, description="Rows that a label or a quarter by length needs to be watched."
    )
    max_slice_drop: float = Field(0.02, ge=0, le=1, description="Accuracy that no watched part of the rows may lose.")
    anchor_tolerance: float = Field(
        0.0, ge=0, le=1, description="How far, in the metric, below the first champion on these rows is accepted."
    )
    resamples: int = Field(10_000, ge=1000, le=100_000, description="Bootstrap resamples behind the test of log loss.")
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the bootstrap.")
