"""What a server of predictions allows: every cap has a name, a bound and a default."""

from pydantic import Field

from tasks.contract.interface import Caps


class ServingSettings(Caps):
    """Caps and periods of `rnnflow serve`; an error that a cap causes names it."""

    max_body_bytes: int = Field(4 * 2**20, ge=2, le=2**30, description="Bytes of a request's body.")
    body_timeout_s: float = Field(10, gt=0, le=3600, description="Seconds in which a request's body must arrive.")
    max_requests: int = Field(
        64, ge=1, le=10_000, description="Requests in work or waiting at once; more are refused with status 503."
    )
    batch_texts: int = Field(
        64, ge=1, le=100_000, description="Texts, or other items, of waiting requests that are answered together."
    )
    poll_s: float = Field(5, gt=0, le=3600, description="Seconds between looks at which version the alias names.")
    flush_s: float = Field(60, gt=0, le=3600, description="Seconds between records of what the model saw.")
    drain_s: float = Field(5, gt=0, le=3600, description="Seconds that requests in work get when the server stops.")
