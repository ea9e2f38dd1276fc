"""The section `[promotion]` of a recipe."""

from typing import Literal

from pydantic import Field

from rnnmodels.config import Settings


class GateSettings(Settings):
    """What a challenger of any kind must show on the same test rows as the champion before it takes its place.

    Kinds say in which metric and in which units `min_effect`, `max_slice_drop` and `anchor_tolerance` are.
    """

    metric: str
    alpha: float = Field(
        0.05, gt=0, le=0.5, description="Equal models are promoted at most this often; the k-th decision gets alpha/k."
    )
    min_effect: float
    min_slice_rows: int
    max_slice_drop: float
    anchor_tolerance: float
    max_decisions: int = Field(
        50, ge=1, le=100_000, description="Decisions after which the test rows are reported as worn."
    )


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
