"""Downloads from a server on the loopback interface that fails in every way the network does."""

import contextlib
import hashlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tasks.errors import IntegrityError, RnnflowError, ServiceError
from tasks.progress import listening
from tasks.sources.downloads import Patience, RemoteFile, download, download_unpinned
from tasks.sources.inputs import IMDB_SHA256, IMDB_URL

CONTENT = random.Random(1).randbytes(300_000)
FIX_LOCAL = "check the network, or take a local copy: --from-file PATH."


class FakeClock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waits_s: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, wait_s: float) -> None:
        self.waits_s.append(wait_s)
        self.now_s += wait_s


class Handler(BaseHTTPRequestHandler):
    """Answers with what the test's function does; keeps the ranges that were asked for."""

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        with contextlib.suppress(ConnectionError):
            self.server.answer(self)

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def send(self, status: int, body: bytes = b"", *, announced: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if announced is None else announced))
        self.end_headers()
        self.wfile.write(body)

    @property
    def offset(self) -> int:
        return int((self.headers.get("Range") or "bytes=0-")[len("bytes=") : -1])

    def send_from_offset(self, stop: int | None = None) -> None:
        rest = CONTENT[self.offset :]
        status = 206 if self.offset else 200
        span = f"bytes {self.offset}-{len(CONTENT) - 1}/{len(CONTENT)}"
        self.send(status, CONTENT[self.offset : stop], announced=len(rest), Content_Range=span)


@pytest.fixture
def serve() -> Iterator[Callable]:
    """Start a server with an answer; yields a function that returns it with its remote file."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.ranges = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()

    def start(answer: Callable[[Handler], None], *, max_bytes: int = 10**6) -> RemoteFile:
        server.answer = answer
        url = f"http://127.0.0.1:{server.server_port}/files/corpus.bin"
        return RemoteFile(url=url, sha256=hashlib.sha256(CONTENT).hexdigest(), max_bytes=max_bytes)

    start.server = server
    yield start
    server.shutdown()
    thread.join()
    server.server_close()


def patience(clock: FakeClock, **settings) -> Patience:
    return Patience(clock=clock, sleep=clock.sleep, **settings)


def failure_of(remote: RemoteFile, folder, **settings) -> RnnflowError:
    with pytest.raises(RnnflowError) as caught:
        download(remote, folder, patience=patience(FakeClock(), **settings))
    assert not (folder / remote.name).exists()
    return caught.value


def test_a_file_is_fetched_once_and_then_taken_from_disk_without_a_socket(tmp_path, serve, monkeypatch):
    remote = serve(lambda handler: handler.send_from_offset())
    events = []
    with listening(events.append):
        path = download(remote, tmp_path / "downloads")
    assert path.read_bytes() == CONTENT
    assert events[-1].done == events[-1].total == len(CONTENT)
    assert {event.unit for event in events} == {"bytes"}

    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
    assert download(remote, tmp_path / "downloads") == path


def test_what_nobody_has_pinned_is_fetched_anew(tmp_path, serve):
    remote = serve(lambda handler: handler.send_from_offset())
    (tmp_path / f"{remote.name}.part").write_bytes(b"the beginning of another file")

    path = download_unpinned(remote.url, tmp_path, max_bytes=remote.max_bytes)

    assert path.read_bytes() == CONTENT
    assert path.name == remote.name


def test_a_cut_connection_is_resumed_where_it_broke_off(tmp_path, serve):
    rng = random.Random(2)
    cuts = sorted(rng.randrange(1, len(CONTENT)) for _ in range(20))

    def cut(handler: Handler) -> None:
        handler.send_from_offset(next((cut for cut in cuts if cut > handler.offset), None))
        handler.close_connection = True

    clock = FakeClock()
    path = download(serve(cut), tmp_path, patience=patience(clock))

    assert path.read_bytes() == CONTENT
    offsets = [int(asked[len("bytes=") : -1]) for asked in serve.server.ranges[1:]]
    assert offsets == sorted(offsets)
    assert len(clock.waits_s) == len(offsets) >= 10


def test_a_server_that_cuts_without_progress_is_given_up(tmp_path, serve):
    def cut(handler: Handler) -> None:
        handler.send_from_offset(1_000)
        handler.close_connection = True

    error = failure_of(serve(cut), tmp_path, fruitless_tries=2)

    assert isinstance(error, ServiceError)
    assert str(error).startswith(f"E-NET-002 {error.file}: lost the connection after 1000 bytes (")
    assert str(error).endswith(f" s.\nFix: {FIX_LOCAL}")
    assert (tmp_path / "corpus.bin.part").stat().st_size == 1_000


def test_a_server_that_knows_no_ranges_is_read_from_the_start(tmp_path, serve):
    (tmp_path / "corpus.bin.part").write_bytes(b"x" * 400_000)
    remote = serve(lambda handler: handler.send(200, CONTENT))

    assert download(remote, tmp_path).read_bytes() == CONTENT
    assert serve.server.ranges == ["bytes=400000-"]


def test_another_range_than_asked_for_is_not_appended(tmp_path, serve):
    (tmp_path / "corpus.bin.part").write_bytes(CONTENT[:100])

    def answer(handler: Handler) -> None:
        if handler.offset:
            handler.send(206, CONTENT[50:], Content_Range=f"bytes 50-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            handler.send(200, CONTENT)

    assert download(serve(answer), tmp_path, patience=patience(FakeClock())).read_bytes() == CONTENT


def test_a_part_that_is_already_whole_is_accepted(tmp_path, serve):
    (tmp_path / "corpus.bin.part").write_bytes(CONTENT)

    assert download(serve(lambda handler: handler.send(416)), tmp_path).read_bytes() == CONTENT


def test_an_unreachable_server_is_named_with_tries_and_seconds(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/corpus.bin"
    clock = FakeClock()

    with pytest.raises(ServiceError) as caught:
        download(RemoteFile(url=url, sha256="", max_bytes=1), tmp_path, patience=patience(clock, fruitless_tries=3))

    assert str(caught.value) == (
        f"E-NET-001 {url}: cannot be reached ([Errno 111] Connection refused); "
        f"gave up after 3 tries in {sum(clock.waits_s):.1f} s.\nFix: {FIX_LOCAL}"
    )
    assert caught.value.exit_code == 5
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_waits_double_with_jitter_and_stay_within_the_time_allowed(tmp_path, serve):
    clock = FakeClock()

    with pytest.raises(ServiceError, match="gave up after"):
        download(
            serve(lambda handler: handler.send(503)),
            tmp_path,
            patience=patience(clock, fruitless_tries=1000, total_s=200, longest_wait_s=30),
        )

    assert clock.now_s <= 200
    for tries, wait_s in enumerate(clock.waits_s, start=1):
        longest = min(30, 2**tries)
        assert longest / 2 <= wait_s <= longest
    assert len({wait_s / min(30, 2**tries) for tries, wait_s in enumerate(clock.waits_s, start=1)}) > 3


def test_a_silent_server_is_given_up(tmp_path, serve):
    error = failure_of(serve(lambda _: time.sleep(0.25)), tmp_path, idle_s=0.1, fruitless_tries=2)

    assert str(error).startswith(f"E-NET-003 {error.file}: stopped sending after 0 bytes; gave up after 2 tries in ")


def test_a_trickle_ends_with_the_time_allowed(tmp_path, serve):
    clock = FakeClock()
    remote = serve(lambda handler: handler.send_from_offset())

    with listening(lambda _: clock.sleep(100)), pytest.raises(ServiceError) as caught:
        download(remote, tmp_path, patience=patience(clock, total_s=50))

    assert caught.value.code == "E-NET-003"


def test_other_content_is_quarantined_and_not_tried_again(tmp_path, serve):
    wrong = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    remote = serve(lambda handler: handler.send(200, wrong))

    error = failure_of(remote, tmp_path)

    got = hashlib.sha256(wrong).hexdigest()
    kept = tmp_path / "quarantine" / f"corpus.bin.{got[:12]}"
    assert isinstance(error, IntegrityError)
    assert str(error) == (
        f"E-INT-001 {kept}: got SHA-256 {got}, expected {remote.sha256}.\n"
        "Fix: look at the file, then try again or take a local copy: --from-file PATH."
    )
    assert kept.read_bytes() == wrong
    assert len(serve.server.ranges) == 1
    assert not (tmp_path / "corpus.bin.part").exists()


def test_a_damaged_copy_on_disk_is_fetched_again(tmp_path, serve):
    (tmp_path / "corpus.bin").write_bytes(b"damaged")

    assert download(serve(lambda handler: handler.send_from_offset()), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("headers", [{}, {"Content_Type": "text/html; charset=utf-8"}])
def test_a_login_page_is_recognised(tmp_path, serve, headers):
    page = b"\n<!DOCTYPE html><html><title>Log in</title>\x1b[31m" + b"x" * 100
    remote = serve(lambda handler: handler.send(200, page, **headers))

    assert str(failure_of(remote, tmp_path)) == (
        f"E-NET-005 {remote.url}: got HTML that begins with "
        f'"\\n<!DOCTYPE html><html><title>Log in</title>\\x1b[31m{"x" * 12}", '
        f"expected a file; the network may require a login.\nFix: {FIX_LOCAL}"
    )
    assert not (tmp_path / "corpus.bin.part").stat().st_size


def test_more_bytes_than_allowed_are_refused_before_and_while_they_come(tmp_path, serve):
    fix = "Fix: raise max_bytes if the file is meant to be that large."

    remote = serve(lambda handler: handler.send_from_offset(), max_bytes=1_000)
    assert str(failure_of(remote, tmp_path)) == (
        f"E-NET-006 {remote.url}: sends 300000 bytes or more, expected at most max_bytes = 1000.\n{fix}"
    )

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(CONTENT)

    assert failure_of(serve(endless), tmp_path).code == "E-NET-006"
    assert not (tmp_path / "corpus.bin.part").exists()


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://example.org/corpus.bin", "ftp://127.0.0.1/x", "http://[", "//evil/x"]
)
def test_redirects_elsewhere_are_refused_with_their_chain(tmp_path, serve, location):
    error = failure_of(serve(lambda handler: handler.send(302, Location=location)), tmp_path)

    assert error.code == "E-NET-007"
    assert len(serve.server.ranges) == 1


def test_a_redirect_on_the_same_host_is_followed_and_a_circle_is_not(tmp_path, serve):
    def once(handler: Handler) -> None:
        if handler.path.endswith("corpus.bin"):
            handler.send(302, Location="/mirror")
        else:
            handler.send_from_offset()

    remote = serve(once)
    assert download(remote, tmp_path / "once").read_bytes() == CONTENT

    error = failure_of(serve(lambda handler: handler.send(302, Location="again")), tmp_path / "circle")
    again = remote.url.replace("corpus.bin", "again")
    assert str(error) == (
        f"E-NET-007 was redirected {remote.url} -> {' -> '.join([again] * 6)}, "
        f"expected the same host and at most 5 hops.\nFix: {FIX_LOCAL}"
    )


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_a_server_asks_for_is_kept(tmp_path, serve, status):
    def busy_once(handler: Handler) -> None:
        if len(serve.server.ranges) == 1:
            handler.send(status, Retry_After="120")
        else:
            handler.send_from_offset()

    clock = FakeClock()
    download(serve(busy_once), tmp_path, patience=patience(clock))

    assert clock.waits_s == [120]


def test_a_wait_beyond_the_time_allowed_is_not_begun(tmp_path, serve):
    remote = serve(lambda handler: handler.send(503, Retry_After="7200"))

    assert str(failure_of(remote, tmp_path)) == (
        f"E-NET-004 {remote.url}: answered 503; gave up after 1 tries in 0.0 s.\nFix: {FIX_LOCAL}"
    )


def test_a_file_that_is_not_there_is_not_tried_again(tmp_path, serve):
    remote = serve(lambda handler: handler.send(404))

    assert str(failure_of(remote, tmp_path)) == (
        f"E-NET-004 {remote.url}: answered 404, expected 200.\nFix: {FIX_LOCAL}"
    )
    assert len(serve.server.ranges) == 1


def test_two_downloads_at_once_fetch_the_file_once(tmp_path, serve):
    remote = serve(lambda handler: handler.send_from_offset())
    threads = [threading.Thread(target=download, args=(remote, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (tmp_path / "corpus.bin").read_bytes() == CONTENT
    assert len(serve.server.ranges) == 1


def test_the_corpus_is_pinned():
    assert RemoteFile(url=IMDB_URL, sha256=IMDB_SHA256, max_bytes=1).name == "aclImdb_v1.tar.gz"
    assert len(IMDB_SHA256) == 64
