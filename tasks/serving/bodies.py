"""Request bodies under caps: counted while they stream in, abandoned after a timeout, never kept beyond the cap."""

import asyncio
import contextlib

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from tasks.contract.interface import RequestError
from tasks.serving.settings import ServingSettings

LINGER_S = 2


async def read_body(request: Request, settings: ServingSettings, *, items: str) -> bytes:
    """Return the body, which asks about `items`.

    Raises RequestError: 415 unless it is announced as JSON, 413 beyond `max_body_bytes`, 408 after `body_timeout_s`;
    ClientDisconnect if nobody waits for the answer any more.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        problem, fix = "the body is not announced as JSON.", "send the header `Content-Type: application/json`."
        raise RequestError("Content-Type", problem, fix, "E-SRV-016", 415)
    max_bytes, limit_s = settings.max_body_bytes, settings.body_timeout_s
    announced = request.headers.get("content-length", "")
    too_large = RequestError(
        None,
        f"the body has more than max_body_bytes = {max_bytes} bytes.",
        f"send fewer {items} per request.",
        "E-SRV-010",
        413,
    )
    if announced.isdigit() and int(announced) > max_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limit_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise too_large
    except TimeoutError:
        problem = f"the body did not arrive within body_timeout_s = {limit_s:g} s."
        raise RequestError(None, problem, "send it without pauses.", "E-SRV-011", 408) from None
    return bytes(body)


class ClosingResponse(JSONResponse):
    """A response that closes the connection, after discarding what the client is still sending.

    A connection closed while bytes arrive is reset, and the client would never see the response.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI has three)
        """Send the response, then read on for a while."""
        self.headers["Connection"] = "close"
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b""})


def respond(error: RequestError) -> JSONResponse:
    """The response to a request whose body has been read."""
    return JSONResponse(error.as_json(), error.status, error.headers)


def refuse(error: RequestError) -> ClosingResponse:
    """The response to a request whose body has not been read, or not to its end."""
    return ClosingResponse(error.as_json(), error.status, error.headers)
