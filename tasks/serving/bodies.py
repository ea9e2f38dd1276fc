"""A request's body under caps: counted while it streams in, given up in time, and never kept beyond the cap."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from tasks.serving.faults import RequestError, not_json_media, too_large, too_slow
from tasks.serving.settings import ServingSettings

LINGER_S = 2


async def read_body(request: Request, settings: ServingSettings) -> bytes:
    """Return the body.

    Raises RequestError: 415 unless it is announced as JSON, 413 beyond `max_body_bytes`, 408 after `body_timeout_s`;
    ClientDisconnect if nobody waits for the answer any more.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise not_json_media()
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > settings.max_body_bytes:
        raise too_large(settings.max_body_bytes)
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            return await _read_within(request, settings.max_body_bytes)
    except TimeoutError:
        raise too_slow(settings.body_timeout_s) from None


async def _read_within(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_large(max_bytes)
    return bytes(body)


def refuse(request: Request, fault: RequestError) -> Response:
    """Answer with a fault; the connection ends, after what the client is still sending was thrown away.

    A connection closed while bytes arrive is reset, and the client would never see the answer.
    """
    plain = fault.as_response()
    headers = {**dict(plain.headers), "Connection": "close"}
    return StreamingResponse(_answer_then_drain(request, plain), fault.status, headers)


async def _answer_then_drain(request: Request, response: JSONResponse) -> AsyncIterator[bytes]:
    yield bytes(response.body)
    try:
        async with asyncio.timeout(LINGER_S):
            while (await request.receive()).get("more_body", False):
                pass
    except (TimeoutError, ClientDisconnect):
        return
