"""What a file server may answer: redirects on its own host, pleas to wait, and pages that pose as the file."""

import contextlib
from collections.abc import Generator
from urllib.parse import urljoin, urlsplit

import httpx
from httpx import codes

from tasks.errors import ServiceError, printable, quoted

LOCAL_COPY = "check the network, or take a local copy: --from-file PATH."
MAX_REDIRECTS = 5
HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<?xml")


class Interruption(Exception):  # noqa: N818 (no error yet: another try may succeed)
    """A try that failed for a reason that may pass."""

    def __init__(self, code: str, problem: str, *, wait_s: float = 0.0) -> None:
        super().__init__(problem)
        self.code, self.wait_s = code, wait_s


@contextlib.contextmanager
def opened_from(client: httpx.Client, url: str, *, offset: int) -> Generator[httpx.Response]:
    """Ask for the bytes from an offset on, following redirects.

    Raises ServiceError (E-NET-007) for a redirect to another host, to a weaker scheme, or beyond five hops.
    """
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    chain = [url]
    while True:
        with client.stream("GET", chain[-1], headers=headers) as response:
            if not codes.is_redirect(response.status_code):
                yield response
                return
            chain.append(urljoin(chain[-1], response.headers.get("Location", "")))
        _refuse_redirect(chain)


def _refuse_redirect(chain: list[str]) -> None:
    first, last = urlsplit(chain[0]), urlsplit(chain[-1])
    is_same_server = last.netloc == first.netloc and last.scheme == first.scheme
    is_upgrade = last.hostname == first.hostname and (first.scheme, last.scheme) == ("http", "https")
    if len(chain) > MAX_REDIRECTS + 1 or not (is_same_server or is_upgrade):
        raise ServiceError(
            "E-NET-007",
            f"was redirected {printable(' -> '.join(chain))}, expected the same host and at most {MAX_REDIRECTS} hops.",
            fix=LOCAL_COPY,
        )


def refuse_status(response: httpx.Response) -> None:
    """Raise Interruption for an answer that may be better later, ServiceError (E-NET-004) for any other failure."""
    status = response.status_code
    if status == codes.TOO_MANY_REQUESTS or codes.is_server_error(status):
        raise Interruption("E-NET-004", f"answered {status}", wait_s=_retry_after_s(response))
    if status not in (codes.OK, codes.PARTIAL_CONTENT):
        raise ServiceError("E-NET-004", f"answered {status}, expected 200.", fix=LOCAL_COPY, file=str(response.url))


def _retry_after_s(response: httpx.Response) -> float:
    """Seconds the server asks us to wait; 0 if it does not say, or says it as a date."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0


def refuse_html(response: httpx.Response, start: bytes) -> None:
    """Raise ServiceError (E-NET-005) where a web page stands in for the file."""
    is_html = start.lstrip().lower().startswith(HTML_STARTS)
    if is_html or response.headers.get("Content-Type", "").startswith("text/html"):
        shown = quoted(start[:60].decode("utf-8", "replace"))
        raise ServiceError(
            "E-NET-005",
            f"got HTML that begins with {shown}, expected a file; the network may require a login.",
            fix=LOCAL_COPY,
            file=str(response.url),
        )
