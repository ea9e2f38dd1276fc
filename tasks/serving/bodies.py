"""A request's body under caps: counted while it streams in, given up in time, and never kept beyond the cap."""

import asyncio
import contextlib

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from tasks.serving.faults import RequestError, not_json_media, too_large, too_slow
from tasks.serving.settings import ServingSettings

LINGER_S = 2


async def read_body(request: Request, settings: ServingSettings, *, items: str) -> bytes:
    """Return the body, which asks about `items`.

    Raises RequestError: 415 unless it is announced as JSON, 413 beyond `max_body_bytes`, 408 after `body_timeout_s`;
    ClientDisconnect if nobody waits for the answer any more.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise not_json_media()
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > settings.max_body_bytes:
        raise too_large(settings.max_body_bytes, items)
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            return await _read_within(request, settings.max_body_bytes, items)
    except TimeoutError:
        raise too_slow(settings.body_timeout_s) from None


async def _read_within(request: Request, max_bytes: int, items: str) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_large(max_bytes, items)
    return bytes(body)


class ClosingResponse(JSONResponse):
    """An answer after which the connection ends, once what the client is still sending was thrown away.

    A connection closed while bytes arrive is reset, and the client would never see the answer.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI has three)
        """Send the answer, then read on for a while."""
        self.headers["Connection"] = "close"
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b""})


def refuse(fault: RequestError) -> ClosingResponse:
    """Answer a request whose body has not been read, or not to its end."""
    return ClosingResponse(fault.as_json(), fault.status, fault.headers)
