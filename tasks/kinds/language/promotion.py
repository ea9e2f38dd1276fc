"""The section `[promotion]` of a language model's recipe; apart from the judging, so that commands start fast."""

from typing import Literal

from pydantic import Field

from tasks.promotion.settings import GateSettings


class LanguagePromotionSettings(GateSettings):
    """What a challenger must show on the champion's own test text before it takes its place."""

    metric: Literal["nats_per_char"] = Field(
        "nats_per_char", description="Deciding metric: nats per character, whatever the tokens (paired bootstrap)."
    )
    min_effect: float = Field(0.002, ge=0, le=10, description="Minimum gain for a promotion, in nats per character.")
    min_slice_rows: int = Field(
        10, ge=1, le=10_000_000, description="Minimum documents or passages of a quarter of the test text to check."
    )
    max_slice_drop: float = Field(
        0.02, ge=0, le=10, description="Maximum loss in nats per character on any checked quarter."
    )
    anchor_tolerance: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Accepted shortfall against the first champion on this text, in nats per character.",
    )
    resamples: int = Field(10_000, ge=1000, le=100_000, description="Bootstrap resamples for the test.")
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the bootstrap.")
