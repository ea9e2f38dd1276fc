"""What a server of predictions allows: every cap has a name, a bound and a default."""

from pydantic import Field

from rnnmodels.config import Settings


class ServingSettings(Settings):
    """Caps and periods of `rnnflow serve`; an error that a cap causes names it."""

    max_body_bytes: int = Field(4 * 2**20, ge=2, le=2**30, description="Bytes of a request's body.")
    body_timeout_s: float = Field(10, gt=0, le=3600, description="Seconds in which a request's body must arrive.")
    max_texts: int = Field(256, ge=1, le=100_000, description="Texts of a request.")
    max_characters: int = Field(1_000_000, ge=1, le=1_000_000, description="Characters of a text.")
    max_tokens: int = Field(1_000_000, ge=1, le=1_000_000, description="Tokens of a text, before it is cut.")
    max_requests: int = Field(
        64, ge=1, le=10_000, description="Requests in work or waiting at once; more are refused with status 503."
    )
    batch_texts: int = Field(64, ge=1, le=100_000, description="Texts of waiting requests that are scored together.")
    poll_s: float = Field(5, gt=0, le=3600, description="Seconds between looks at which version the alias names.")
    flush_s: float = Field(60, gt=0, le=3600, description="Seconds between records of what the model saw.")
    drain_s: float = Field(5, gt=0, le=3600, description="Seconds that requests in work get when the server stops.")
