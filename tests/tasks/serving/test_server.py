"""The process that serves: hostile clients, a change of champion and the end, all over real sockets."""

import contextlib
import http.client
import json
import random
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tasks.errors import InputError, ResourceError
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.promotion import ledger
from tasks.promotion.overrides import promote
from tasks.registry import registrations
from tasks.serving.server import bind, check_access, sole_model
from tasks.serving.settings import settings_for
from tasks.tracking import mlflow_client
from tests.tasks.serving.hostile import hostile_bodies
from tests.tasks.serving.running import JSON, Server, serving, wait_for_version, wait_until_alive

CAPS = ("poll_s=0.3", "body_timeout_s=1", "max_body_bytes=1000000", "max_texts=50", "max_requests=40", "drain_s=5")


def read_answer(raw: socket.socket) -> tuple[int, dict]:
    response = http.client.HTTPResponse(raw)
    response.begin()
    return response.status, json.loads(response.read())["error"]


@pytest.fixture(scope="module")
def server(own_home: Path) -> Iterator[Server]:
    with serving(own_home, "reviews/1", *CAPS) as running:
        yield running


@pytest.fixture
def lone_server(rivals_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of the test's own, over a project of its own, for what other tests could not go on with."""
    home = shutil.copytree(rivals_home, tmp_path / "home")
    monkeypatch.setenv("RNNFLOW_HOME", str(home))
    with serving(home, "reviews/1", *CAPS) as running:
        yield running


def test_a_body_beyond_the_cap_is_refused_while_it_streams_in(server: Server):
    watched = psutil.Process(server.process.pid)
    before = watched.memory_info().rss
    chunk = b"x" * 2**20

    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        raw.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
        raw.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                raw.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            raw.sendall(b"0\r\n\r\n")
        status, _ = read_answer(raw)

    assert status == 413
    assert watched.memory_info().rss - before < 50 * 2**20


def test_an_announced_body_beyond_the_cap_is_refused_at_once(server: Server):
    head = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000001\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        raw.sendall(head)
        status, answer = read_answer(raw)

    assert status == 413
    assert answer == {
        "code": "E-SRV-010",
        "field": None,
        "problem": "the body has more than max_body_bytes = 1000000 bytes.",
        "fix": "send fewer texts per request.",
    }


def test_a_body_that_does_not_arrive_is_given_up(server: Server):
    head = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        raw.sendall(head)
        status, answer = read_answer(raw)

    assert (status, answer["code"]) == (408, "E-SRV-011")
    assert 0.9 < time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/models/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v1/predict", 405),
        ("DELETE", "/v1/model", 405),
        ("POST", "/%0d%0aSet-Cookie:%20a=b", 404),
        ("BREW", "/health", 405),
    ],
)
def test_an_unknown_address_or_method_is_refused_as_json(server: Server, method: str, path: str, status: int):
    found, answer, headers = server.ask(b"", method=method, path=path)

    assert (found, answer["error"]["code"]) == (status, "E-SRV-017")
    assert "Set-Cookie" not in headers


def test_a_body_that_is_not_announced_as_json_is_refused(server: Server):
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "multipart/form-data; boundary=x"}):
        status, answer, _ = server.ask(b'{"texts": ["a"]}', headers=headers)
        assert (status, answer["error"]["field"]) == (415, "Content-Type")


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /health HTTP/1.1\r\nHost: a\r\nbroken header\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http_is_refused(server: Server, request_head: bytes):
    assert server.send_raw(request_head + b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_headers_without_end_are_not_gathered(server: Server):
    watched = psutil.Process(server.process.pid)
    before = watched.memory_info().rss

    with contextlib.suppress(ConnectionError):
        server.send_raw(b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100 * 2**20)

    assert watched.memory_info().rss - before < 10 * 2**20
    wait_until_alive(server)


def test_two_thousand_hostile_bodies_are_answered_or_refused_and_the_process_lives(server: Server):
    bodies = hostile_bodies(2_000, "texts")

    def send(part: list[bytes]) -> list[tuple[int, set[str], bytes]]:
        with contextlib.closing(server.connect()) as connection:
            answers = []
            for body in part:
                connection.request("POST", "/v1/predict", body, JSON)
                response = connection.getresponse()
                answers.append((response.status, set(json.loads(response.read())), body))
            return answers

    with ThreadPoolExecutor(8) as clients:
        answers = [answer for part in clients.map(send, [bodies[i::8] for i in range(8)]) for answer in part]

    shapes = {200: {"model", "predictions"}, 400: {"error"}, 422: {"error"}}
    assert [answer for answer in answers if shapes.get(answer[0]) != answer[1]] == []
    statuses = Counter(status for status, _, _ in answers)
    assert statuses.total() >= 2_000
    assert min(statuses[200], statuses[400], statuses[422]) > 50
    assert server.process.poll() is None
    assert "Traceback" not in server.log.read_text()


def test_what_clients_send_cannot_act_on_the_log(server: Server):
    server.ask(b"", path="/%1b[31m%0aINFO%20forged", method="GET")

    lines = [line for line in server.log.read_text().splitlines() if "forged" in line]
    assert [line.partition(": ")[2] for line in lines] == ["GET /\\x1b[31m\\nINFO forged: 404"]


def test_no_request_fails_while_the_champion_changes(lone_server: Server):
    stop, answers, failures = threading.Event(), Counter(), []

    def ask_on() -> None:
        connection = lone_server.connect()
        draw = random.Random(threading.get_ident())
        while not stop.is_set():
            texts = ["a great film"] * draw.randint(1, 20)
            connection.request("POST", "/v1/predict", json.dumps({"texts": texts}), JSON)
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status != 200 or len(answer["predictions"]) != len(texts):
                failures.append((response.status, answer))
            answers[answer.get("model")] += 1
        connection.close()

    threads = [threading.Thread(target=ask_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in ("2", "1", "2"):
        promote(f"reviews/{version}", reason="to be served")
        wait_for_version(lone_server, f"reviews/{version}")
    stop.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert set(answers) == {"reviews/1", "reviews/2"}
    assert min(answers.values()) > 10


def test_a_champion_that_is_damaged_on_disk_is_not_taken_and_ready_says_why(lone_server: Server):
    now = lone_server.ask(b"", path="/ready", method="GET")[1]["model"].partition("/")[2]
    other = "1" if now == "2" else "2"
    uri = mlflow_client.connect().get_model_version_download_uri("reviews", other)
    weights = mlflow_client.fetch_artifacts(uri) / "artifacts" / "parts" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))

    content = registrations.read_versions("reviews")[other]
    crowned = {"champion": other, "champion_content": content, "reason": "to be served", "actor": "kim"}
    draft = ledger.Draft(model="reviews", action="promote", **crowned)
    ledger.append(draft, expected=ledger.head("reviews").number)
    deadline = time.monotonic() + 20
    while (state := lone_server.ask(b"", path="/ready", method="GET")[1])["status"] == "ready":
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert state["model"] == f"reviews/{now}"
    assert state["problem"].startswith("E-INT-001 ")
    assert lone_server.ask(b'{"texts": ["a"]}')[1]["model"] == f"reviews/{now}"
    weights.write_bytes(whole)
    wait_for_version(lone_server, f"reviews/{other}")


def test_requests_in_work_are_finished_before_the_process_ends(lone_server: Server):
    body = json.dumps({"texts": ["a great and moving film " * 20] * 50}).encode()
    connections = [lone_server.connect() for _ in range(6)]
    for connection in connections:
        connection.request("POST", "/v1/predict", body, JSON)
    time.sleep(0.1)
    started = time.monotonic()
    lone_server.process.send_signal(signal.SIGTERM)
    statuses = [connection.getresponse().status for connection in connections]
    answered_s = time.monotonic() - started
    status = lone_server.process.wait(30)

    assert statuses == [200] * 6
    assert status == 0
    assert answered_s < 5.5
    assert "Traceback" not in lone_server.log.read_text()


def test_a_port_that_is_taken_costs_no_model():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ResourceError) as caught:
            bind("127.0.0.1", port)

    assert str(caught.value) == (
        f'E-SRV-002 cannot listen on "127.0.0.1", port {port} (Address already in use).\n'
        "Fix: stop the process that listens there, or choose another --port; --port 0 picks a free one."
    )


def test_parts_of_an_answer_are_sent_without_waiting_for_one_another():
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_beyond_loopback_a_token_is_needed(host: str):
    with pytest.raises(InputError) as caught:
        check_access(host, "")

    assert str(caught.value) == (
        f'E-SRV-001 got host "{host}" without a token: anyone who can reach this machine could send requests.\n'
        'Fix: export RNNFLOW_SERVE_TOKEN="$(openssl rand -hex 24)" and give clients that token, or omit --host.'
    )
    assert check_access(host, "0123456789abcdef") == "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_on_loopback_no_token_is_needed(host: str):
    assert check_access(host, "") == ""


@pytest.mark.parametrize("token", ["short", "0123456789abcde\n", "ä" * 16])
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused(token: str):
    with pytest.raises(InputError, match="E-SRV-003"):
        check_access("127.0.0.1", token)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"max_text": 3},
            'E-SRV-004 --set max_text: got "3": Extra inputs are not permitted.\n'
            'Fix: for models of kind "classify", set one of',
        ),
        ({"max_rows": 3}, 'E-SRV-004 --set max_rows: got "3": Extra inputs are not permitted.\nFix: for models of'),
        ({"max_texts": 0}, 'E-SRV-004 --set max_texts: got "0": Input should be greater than or equal to 1.\nFix: for'),
    ],
)
def test_a_setting_that_does_not_exist_or_fit_is_named(values: dict, text: str):
    with pytest.raises(InputError) as caught:
        settings_for(CLASSIFY, values)

    assert str(caught.value).startswith(text)


def test_a_model_that_is_alone_needs_no_name(home: Path):
    assert sole_model() == "reviews"


def test_without_a_model_there_is_nothing_to_serve(project: Path):
    with pytest.raises(InputError) as caught:
        sole_model()

    assert str(caught.value) == "E-SRV-006 no models are registered.\nFix: train one first: rnnflow train reviews"
