"""The section `[promotion]` of a detector's recipe; apart from the judging, so that commands start fast."""

from typing import Literal

from pydantic import Field

from tasks.kinds.forecast.promotion import ForecastPromotionSettings


class DetectionPromotionSettings(ForecastPromotionSettings):
    """What a challenger must show on the newest test rows before it takes the champion's place."""

    metric: Literal["mae"] = Field(
        "mae", description="What decides: the absolute error of the level that is forecast (Diebold-Mariano test)."
    )
    min_slice_rows: int = Field(100, ge=1, le=10_000_000, description="Rows that a channel needs to be watched.")
    max_slice_drop: float = Field(
        0.05, ge=0, le=100, description="Share by which the error of no watched channel may grow."
    )
