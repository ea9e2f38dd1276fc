"""How a text is written after a prompt; imports no torch, so that commands start fast."""

from pydantic import Field

from rnnmodels.config import Settings

MAX_LENGTH = 1_000_000


class Sampling(Settings):
    """How many tokens are written at most, and how each is chosen among those that the model thinks likely.

    `top_k` comes first, then temperature, then `top_p`. The same seed gives the same text on the same machine.
    """

    length: int = Field(200, ge=1, le=MAX_LENGTH, description="Tokens to write at most; the model may end earlier.")
    temperature: float = Field(
        0.8,
        ge=0,
        le=100,
        allow_inf_nan=False,
        description="1 samples from the model's distribution, less is more conservative, 0 takes the likeliest token.",
    )
    top_k: int = Field(0, ge=0, lt=2**31, description="Draw among this many likeliest tokens; 0 means all.")
    top_p: float = Field(
        1.0,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="Draw among the likeliest tokens that have this probability together; 1 means all.",
    )
    seed: int | None = Field(None, ge=0, lt=2**63, description="Seed of the draws; null draws a new one.")
