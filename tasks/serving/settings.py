"""Settings of the prediction server: every cap has a name, a bound and a default."""

from typing import cast

from pydantic import Field, ValidationError, create_model

from tasks.contract.interface import Caps
from tasks.contract.kind import Kind
from tasks.errors import InputError, quoted


class ServingSettings(Caps):
    """Caps and periods of `rnnflow serve`; an error that a cap causes names it. A kind adds its own."""

    max_body_bytes: int = Field(4 * 2**20, ge=2, le=2**30, description="Bytes of a request's body.")
    body_timeout_s: float = Field(10, gt=0, le=3600, description="Seconds in which a request's body must arrive.")
    max_requests: int = Field(
        64, ge=1, le=10_000, description="Requests queued or running at once; more are refused with status 503."
    )
    stream_timeout_s: float = Field(
        300, gt=0, le=86_400, description="Seconds in which an answer that is sent in pieces must be made and received."
    )
    poll_s: float = Field(5, gt=0, le=3600, description="Seconds between checks of which version the alias names.")
    flush_s: float = Field(60, gt=0, le=3600, description="Seconds between saves of the profile of the requests.")
    drain_s: float = Field(5, gt=0, le=3600, description="Seconds that running requests get when the server stops.")


def settings_for(kind: Kind, values: dict[str, object]) -> ServingSettings:
    """Build the settings of a server of a kind's models, which include the kind's caps.

    Raises InputError (E-SRV-004) naming the first that is unknown, belongs to another kind or is out of bounds.
    """
    assert kind.serve is not None, "only models of kinds that are served get this far"
    caps = kind.serve.load().INTERFACE.caps
    try:
        together = create_model("Settings", __base__=(caps, ServingSettings))
        return cast(ServingSettings, together.model_validate(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        known = ", ".join(sorted(caps.model_fields | ServingSettings.model_fields))
        raise InputError(
            "E-SRV-004",
            f"--set {name}: got {quoted(first['input'])}: {first['msg']}.",
            fix=f"for models of kind {quoted(kind.name)}, set one of {known} within its bounds.",
        ) from error
