"""What stage `gate` needs of forecasters: champion and challenger on the same origins, each scaled in its own way."""

from typing import Literal

from pydantic import Field

from tasks.promotion.settings import GateSettings


class ForecastPromotionSettings(GateSettings):
    """What a challenger must show on the newest test windows before it takes the champion's place."""

    metric: Literal["mse", "mae"] = Field(
        "mse", description="What decides: squared or absolute error (Diebold-Mariano test)."
    )
    min_effect: float = Field(
        0.001, ge=0, le=1, description="Least gain that is worth a change, relative to the champion (0.001 is 0.1 %)."
    )
    min_slice_rows: int = Field(
        200, ge=1, le=10_000_000, description="Windows that a channel or a quarter of the horizon needs to be watched."
    )
    max_slice_drop: float = Field(
        0.05, ge=0, le=10, description="By how much, relative to the champion, no watched part may become worse."
    )
    anchor_tolerance: float = Field(
        0.0, ge=0, le=10, description="How far, relative to the first champion on these rows, it may be worse than it."
    )
