"""The serving process: checked before it starts, bound before it loads, stopped without losing a request."""

import asyncio
import ipaddress
import os
import signal
import socket
from collections.abc import Callable

import uvicorn

from tasks.errors import InputError, ResourceError, quoted
from tasks.registry import registrations
from tasks.serving.application import create_application
from tasks.serving.champion import start_following
from tasks.serving.settings import settings_for

TOKEN = "RNNFLOW_SERVE_TOKEN"  # noqa: S105 (the name of a variable)
MIN_TOKEN_CHARACTERS = 16
MAX_HEADER_BYTES = 16 * 2**10
KEEP_ALIVE_S = 30
CONNECTIONS_PER_REQUEST = 16


def serve_model(
    model: str, *, host: str, port: int, changed: dict[str, object], announce: Callable[[str], None]
) -> None:
    """Answer requests until SIGTERM or SIGINT under `changed` settings; `announce` gets the line that says where.

    Raises InputError (E-SRV-001, E-SRV-003, E-SRV-004, E-NAME-001, E-REG-001, E-REG-002), ResourceError (E-SRV-002),
    IntegrityError and ServiceError if the model is unavailable.
    """
    token = check_access(host, os.environ.get(TOKEN, ""))
    with bind(host, port) as listener:
        follower = start_following(model)
        settings = settings_for(follower.current.kind, changed)
        server = uvicorn.Server(
            uvicorn.Config(
                create_application(follower, settings, token=token),
                http="h11",  # bounds the size of headers
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                limit_concurrency=CONNECTIONS_PER_REQUEST * settings.max_requests,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(1, round(settings.drain_s)),
            )
        )
        address = f"http://{_authority(listener)}"
        announce(f"Serving {follower.current.label} at {address}/v1/predict; documentation at {address}/docs")
        _leave_signals_to_uvicorn()
        asyncio.run(server.serve(sockets=[listener]))


def check_access(host: str, token: str) -> str:
    """Return the token that clients must send, empty for none.

    Raises InputError: E-SRV-001 for a host beyond loopback without a token, E-SRV-003 for a token that can be guessed.
    """
    if token and (len(token) < MIN_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable()):
        raise InputError(
            "E-SRV-003",
            f"{TOKEN} is not at least {MIN_TOKEN_CHARACTERS} printable ASCII characters.",
            fix=f'create one: export {TOKEN}="$(openssl rand -hex 24)"',
        )
    if not token and not _is_loopback(host):
        raise InputError(
            "E-SRV-001",
            f"got host {quoted(host)} without a token: anyone who can reach this machine could send requests.",
            fix=f'export {TOKEN}="$(openssl rand -hex 24)" and give clients that token, or omit --host.',
        )
    return token


def bind(host: str, port: int) -> socket.socket:
    """Listen on a port, before spending the seconds that loading a model takes.

    Raises ResourceError (E-SRV-002).
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ResourceError(
            "E-SRV-002",
            f"cannot listen on {quoted(host)}, port {port} ({os.strerror(error.errno or 0)}).",
            fix="stop the process that listens there, or choose another --port; --port 0 picks a free one.",
        ) from error
    # Connections inherit it; asyncio sets it for sockets of its own only. Without it the second part of an answer waits
    # for the client to acknowledge the first, which takes 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def sole_model() -> str:
    """Name the only registered model.

    Raises InputError (E-SRV-006) if there are several, or none; ServiceError (E-SVC-004).
    """
    names = registrations.list_registered()
    if len(names) != 1:
        raise InputError(
            "E-SRV-006",
            f"{len(names) or 'no'} models are registered{': ' if names else ''}{', '.join(map(quoted, names))}.",
            fix="name one: rnnflow serve NAME" if names else "train one first: rnnflow train reviews",
        )
    return names[0]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _authority(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _leave_signals_to_uvicorn() -> None:
    """Uvicorn exits on these signals, then raises them again for earlier handlers, of which there are none."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
