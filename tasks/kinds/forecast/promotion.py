"""The section `[promotion]` of a forecaster's recipe; apart from the judging, so that commands start fast."""

from typing import Literal

from pydantic import Field

from tasks.promotion.settings import GateSettings


class ForecastPromotionSettings(GateSettings):
    """What a challenger must show on the newest test windows before it takes the champion's place."""

    metric: Literal["mse", "mae"] = Field(
        "mse", description="Deciding metric: squared or absolute error (Diebold-Mariano test)."
    )
    min_effect: float = Field(
        0.001, ge=0, le=1, description="Minimum gain for a promotion, as a share of the champion's error."
    )
    min_slice_rows: int = Field(
        100, ge=1, le=10_000_000, description="Minimum windows of a channel or part of the horizon that is checked."
    )
    max_slice_drop: float = Field(
        0.05, ge=0, le=100, description="Maximum relative growth of the error of any checked channel or part."
    )
    anchor_tolerance: float = Field(
        0.0, ge=0, le=100, description="Maximum share by which the error may exceed the first champion's on these rows."
    )
