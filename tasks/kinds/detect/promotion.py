"""The section `[promotion]` of a detector's recipe; apart from the judging, so that commands start fast."""

from typing import Literal

from pydantic import Field

from tasks.kinds.forecast.promotion import ForecastPromotionSettings


class DetectionPromotionSettings(ForecastPromotionSettings):
    """What a challenger must show on the newest test rows before it takes the champion's place."""

    metric: Literal["mae"] = Field(
        "mae", description="Deciding metric: absolute error of the forecast level (Diebold-Mariano test)."
    )
    min_slice_rows: int = Field(100, ge=1, le=10_000_000, description="Minimum rows of a channel that is checked.")
    max_slice_drop: float = Field(
        0.05, ge=0, le=100, description="Maximum relative growth of the error of any checked channel."
    )
