"""Answers made piece by piece: in short turns of the thread that answers, so that other requests are not held up.

They are sent as server-sent events, `data: {...}` with a JSON object: the pieces, and last the whole answer.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tasks.contract.interface import Order, Piece, Pieces, RequestError, StreamedAddress
from tasks.errors import quoted
from tasks.serving.answers import INTERNAL_ERROR
from tasks.serving.batching import MicroBatcher
from tasks.serving.champion import ModelFollower
from tasks.serving.settings import ServingSettings

logger = logging.getLogger(__name__)

TURN_S = 0.02
# A proxy would collect pieces, or keep the answer for the next who asks.
UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
CLIENT_GONE = 499  # nginx's status; nobody is left to read it


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The pieces that were made in one go, and the whole answer if it is finished."""

    pieces: list[Piece]
    answer: dict[str, Any] | None


class EventStream(StreamingResponse):
    """Events as they come; cut off after `limit_s`, so that a client who reads nothing holds no place forever."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], *, limit_s: float) -> None:
        super().__init__(events, headers=UNBUFFERED)
        self.limit_s = limit_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            async with asyncio.timeout(self.limit_s):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            logger.warning("An answer was cut off after stream_timeout_s = %g s.", self.limit_s)


@dataclass(frozen=True, kw_only=True)
class StreamAnswerer:
    """Carries out the orders that come to an address, each by the version that is current when it begins."""

    address: StreamedAddress
    follower: ModelFollower
    batcher: MicroBatcher[Any]
    settings: ServingSettings

    async def answer(self, request: Request, order: Order) -> Response:
        """Answer an order, in pieces if it asks for that; raises RequestError for what the kind refuses."""
        served = self.follower.current
        turns = _take_turns(self.address.begin(served.model, order, self.settings), self.batcher)
        if order.stream:
            events = _write_events(await anext(turns), turns, served.label)
            return EventStream(events, limit_s=self.settings.stream_timeout_s)
        async with contextlib.aclosing(turns):
            async for turn in turns:
                if turn.answer is not None:
                    return JSONResponse({"model": served.label, **turn.answer})
                if await request.is_disconnected():
                    break
        return Response(status_code=CLIENT_GONE)


async def _take_turns(pieces: Pieces, batcher: MicroBatcher[Any]) -> AsyncGenerator[Turn]:
    """Yield turns until the answer is finished; what fails is logged."""
    while True:
        try:
            turn = await batcher.take_turn(partial(make_pieces, pieces))
        except RequestError:
            raise
        except Exception as error:
            logger.warning("A request failed: %s %s", type(error).__name__, quoted(error))
            raise
        yield turn
        if turn.answer is not None:
            return


def make_pieces(pieces: Pieces, limit_s: float = TURN_S) -> Turn:
    """Make pieces for some milliseconds, at least until the kind yields once."""
    made: list[Piece] = []
    end_s = time.perf_counter() + limit_s
    while True:
        try:
            piece = next(pieces)
        except StopIteration as end:
            return Turn(pieces=made, answer=end.value)
        if piece is not None:
            made.append(piece)
        if time.perf_counter() >= end_s:
            return Turn(pieces=made, answer=None)


async def _write_events(first: Turn, others: AsyncGenerator[Turn], label: str) -> AsyncGenerator[bytes]:
    """Yield the events of all turns; a failure becomes the last event."""
    yield _events_of(first, label)
    try:
        async for turn in others:
            yield _events_of(turn, label)
    except RequestError as error:
        yield _event(error.as_json())
    except Exception:  # noqa: BLE001 (logged where it happened; a client gets no traceback)
        yield _event(INTERNAL_ERROR.as_json())


def _events_of(turn: Turn, label: str) -> bytes:
    whole = [] if turn.answer is None else [{"model": label, **turn.answer}]
    return b"".join(map(_event, [*turn.pieces, *whole]))


def _event(fields: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(fields, ensure_ascii=False, allow_nan=False)}\n\n".encode()
