"""Who we say we are to a Prefect server that asks."""

import base64
import threading
import urllib.error
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flows.place.prefect_api import answers, ask

EXPECTED = f"Basic {base64.b64encode(b'admin:secret').decode()}"
VARIABLES = ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING")


class AskingWho(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Authorization"] == EXPECTED else 401)
        self.end_headers()
        self.wfile.write(b"1")

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that answers admin alone."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), AskingWho) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def test_a_server_that_wants_a_password_is_there_but_tells_strangers_nothing(guarded: str):
    assert answers(guarded)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(guarded)


@pytest.mark.parametrize("variable", ["PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"])
def test_the_password_of_the_clients_or_of_our_own_server_opens_it(
    guarded: str, monkeypatch: pytest.MonkeyPatch, variable: str
):
    monkeypatch.setenv(variable, "admin:secret")

    assert ask(guarded) == 1
