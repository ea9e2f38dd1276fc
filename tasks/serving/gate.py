"""Who may ask, and how many at once; one log line for every request that was refused."""

import hmac
import logging
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.errors import printable
from tasks.serving.bodies import refuse
from tasks.serving.faults import RequestError, overloaded, unauthorized

logger = logging.getLogger(__name__)

OPEN_PATH = "/health"
MAX_LOGGED = 200
FIRST_REFUSAL = 400


@dataclass
class Gate:
    """Wraps an application: asks for the token, if there is one, and holds the number of requests down.

    `/health` stays open to all, so that whoever watches the process needs no token.
    """

    app: ASGIApp
    token: str
    max_requests: int
    in_work: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = self._logging_refusals(scope, send)
        fault = self._fault_of(scope)
        if fault is not None:
            await refuse(fault)(scope, receive, send)
            return
        self.in_work += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.in_work -= 1

    def _fault_of(self, scope: Scope) -> RequestError | None:
        if scope["path"] == OPEN_PATH:
            return None
        if self.token and not self._knows_token(scope):
            return unauthorized()
        return overloaded(self.max_requests) if self.in_work >= self.max_requests else None

    def _knows_token(self, scope: Scope) -> bool:
        sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        return hmac.compare_digest(sent, f"Bearer {self.token}".encode())

    def _logging_refusals(self, scope: Scope, send: Send) -> Send:
        async def send_and_log(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= FIRST_REFUSAL:
                path = printable(scope["path"])[:MAX_LOGGED]
                logger.info("%s %s: %d", printable(scope["method"])[:MAX_LOGGED], path, message["status"])
            await send(message)

        return send_and_log
