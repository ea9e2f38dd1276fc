"""The section `[promotion]` of a forecaster's recipe; apart from the judging, so that commands start fast."""

from typing import Literal

from pydantic import Field

from tasks.promotion.settings import GateSettings


class ForecastPromotionSettings(GateSettings):
    """What a challenger must show on the newest test windows before it takes the champion's place."""

    metric: Literal["mse", "mae"] = Field(
        "mse", description="What decides: squared or absolute error (Diebold-Mariano test)."
    )
    min_effect: float = Field(
        0.001, ge=0, le=1, description="Least gain that is worth a change, as a share of the champion's error."
    )
    min_slice_rows: int = Field(
        100, ge=1, le=10_000_000, description="Windows that a channel or a part of the horizon needs to be watched."
    )
    max_slice_drop: float = Field(
        0.05, ge=0, le=100, description="Share by which the error of no watched channel or part may grow."
    )
    anchor_tolerance: float = Field(
        0.0, ge=0, le=100, description="Share by which the error may exceed the first champion's on these rows."
    )
