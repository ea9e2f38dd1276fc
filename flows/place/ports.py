"""Whether a server can listen where it is told to, and if not, who is in the way."""

import socket
from collections.abc import Mapping

import psutil

from flows.place.settings import PORT_OPTIONS, PORT_VARIABLES
from tasks.errors import ServiceError, quoted


def check_ports(host: str, ports: Mapping[str, int]) -> None:
    """Refuse to start servers, each with its port, where another process listens.

    Raises ServiceError (E-SVC-010).
    """
    for server, port in ports.items():
        try:
            _listen(host, port)
        except OSError as error:
            raise ServiceError(
                "E-SVC-010",
                f"the {server} server cannot listen on port {port} of {quoted(host)}: {_reason(port, error)}.",
                fix=f"end that process, or choose another port, as in `rnnflow up {PORT_OPTIONS[server]} {port + 1}` "
                f"or {PORT_VARIABLES[server]}={port + 1}.",
            ) from error


def _listen(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, else closed connections count
        probe.bind(address)
        probe.listen()


def _reason(port: int, error: OSError) -> str:
    holder = _holder_of(port)
    if holder is None:
        return quoted(error.strerror or error)
    try:
        command = " ".join(holder.cmdline()) or holder.name()
    except psutil.Error:
        command = "a command of another user"
    return f"process {holder.pid} is using it ({quoted(command)})"


def _holder_of(port: int) -> psutil.Process | None:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows them to the administrator alone
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return psutil.Process(connection.pid)
    return None
