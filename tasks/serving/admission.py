"""Which requests are admitted, and how many at once; one log line for every refusal."""

import hmac
import logging
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.contract.interface import RequestError
from tasks.errors import printable
from tasks.serving.bodies import refuse

logger = logging.getLogger(__name__)

OPEN_PATH = "/health"
RETRY_AFTER_S = 1
MAX_LOGGED = 200
FIRST_REFUSAL = 400


@dataclass
class Admission:
    """Wraps an application: requires the token, if there is one, and bounds the number of requests at once.

    `/health` stays open to all, so that a health check needs no token.
    """

    app: ASGIApp
    token: str
    max_requests: int
    num_running: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = self._logging_refusals(scope, send)
        error = self._refusal(scope)
        if error is not None:
            await refuse(error)(scope, receive, send)
            return
        self.num_running += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.num_running -= 1

    def _refusal(self, scope: Scope) -> RequestError | None:
        if scope["path"] == OPEN_PATH:
            return None
        if self.token and not self._knows_token(scope):
            return RequestError(
                None,
                "the bearer token is missing or wrong.",
                "send the header `Authorization: Bearer TOKEN`, with the token that the server was started with.",
                "E-SRV-015",
                401,
                {"WWW-Authenticate": "Bearer"},
            )
        if self.num_running >= self.max_requests:
            return RequestError(
                None,
                f"max_requests = {self.max_requests} requests are already queued or running.",
                "retry after the number of seconds in Retry-After.",
                "E-SRV-014",
                503,
                {"Retry-After": str(RETRY_AFTER_S)},
            )
        return None

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
