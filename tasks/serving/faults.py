"""Requests that cannot be answered: a status, and JSON that names the field, the problem and the remedy."""

from dataclasses import dataclass, field

from starlette.responses import JSONResponse

from tasks.contract.interface import FieldError

RETRY_AFTER_S = 1


@dataclass
class RequestError(Exception):
    """A refused request; `place` names the field, `headers` go into the response."""

    status: int
    code: str
    problem: str
    fix: str
    place: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def as_response(self) -> JSONResponse:
        """The response that says so."""
        return JSONResponse(self.as_json(), self.status, self.headers)

    def as_json(self) -> dict:
        """`{"error": {"code", "field", "problem", "fix"}}`; `field` is null where no field is meant."""
        return {"error": {"code": self.code, "field": self.place, "problem": self.problem, "fix": self.fix}}


def too_large(limit: int, items: str) -> RequestError:
    """A body beyond `max_body_bytes`, which holds too many of its `items`."""
    return RequestError(
        413, "E-SRV-010", f"the body has more than max_body_bytes = {limit} bytes.", f"send fewer {items} per request."
    )


def too_slow(limit_s: float) -> RequestError:
    """A body that did not arrive within `body_timeout_s`."""
    return RequestError(
        408, "E-SRV-011", f"the body did not arrive within body_timeout_s = {limit_s:g} s.", "send it in one piece."
    )


def not_json(problem: str, sample: str) -> RequestError:
    """A body that is not strict JSON, as a sample is."""
    return RequestError(400, "E-SRV-012", f"the body {problem}.", f"send one JSON object such as {sample}.")


def bad_field(fault: FieldError) -> RequestError:
    """A field that is missing, unknown, of another type, beyond a cap or of no use to the model."""
    return RequestError(422, fault.code, fault.problem, fault.fix, fault.place)


def overloaded(limit: int) -> RequestError:
    """More requests at once than `max_requests`."""
    return RequestError(
        503,
        "E-SRV-014",
        f"max_requests = {limit} requests are in work or waiting.",
        "repeat the request after the seconds that Retry-After names.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def unauthorized() -> RequestError:
    """A request without the token."""
    return RequestError(
        401,
        "E-SRV-015",
        "the bearer token is missing or wrong.",
        "send the header `Authorization: Bearer TOKEN`, with the token that the server was started with.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def not_json_media() -> RequestError:
    """A body that says it is something else."""
    return RequestError(
        415,
        "E-SRV-016",
        "the body is not announced as JSON.",
        "send the header `Content-Type: application/json`.",
        "Content-Type",
    )


def unknown_address(status: int, headers: dict[str, str] | None) -> RequestError:
    """A path that does not exist, or that takes another method."""
    problem = "this address takes another method." if status == 405 else "there is no such address."  # noqa: PLR2004
    return RequestError(status, "E-SRV-017", problem, "GET /openapi.json lists what there is.", headers=headers or {})


def failed_answer() -> RequestError:
    """A failure of ours; what it was stands in the log and is none of the client's business."""
    return RequestError(500, "E-BUG-001", "the model failed on this request.", "see the log of the server.")
