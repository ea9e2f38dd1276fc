import http.client
import http.server
import threading
import time

from benchmarks.mlflow_outage import (
    ANSWERING,
    DEAD,
    NOWHERE,
    SLOW,
    HeldUp,
    cpu_seconds_of_other_threads,
    free_port,
    outage_table,
    relaying,
)


class Echo(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_the_relay_passes_requests_and_answers_on():
    with http.server.HTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = free_port()
        with relaying(port, server.server_address[1], 0):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("POST", "/a", b"text")
            response = connection.getresponse()
            assert (response.status, response.read()) == (201, b"text")
            connection.close()
        server.shutdown()


def test_what_the_listener_and_other_threads_take_is_counted():
    held, done = HeldUp(), threading.Event()

    held.timing(lambda event: time.sleep(0.02))("an epoch")

    assert 0.02 <= held.waited_s < 1

    def burn() -> None:
        deadline = time.thread_time() + 0.1
        while time.thread_time() < deadline:
            pass
        done.wait()

    expected_s = 0.08  # the kernel counts in hundredths of a second
    before = cpu_seconds_of_other_threads()
    thread = threading.Thread(target=burn)
    thread.start()
    deadline = time.monotonic() + 30
    while (spent := cpu_seconds_of_other_threads() - before) < expected_s and time.monotonic() < deadline:
        time.sleep(0.01)
    done.set()
    thread.join()

    assert spent >= expected_s


def test_each_state_of_mlflow_is_compared_within_its_round():
    def figures(train_s: float) -> dict:
        counts = {"pending": 3, "points": 28, "lost": 0, "doubled": 0}
        return {"train_s": train_s, "cost_s": train_s / 11, "leave_s": 0.5, **counts}

    rounds = [
        {NOWHERE: figures(1.0), ANSWERING: figures(2.0), DEAD: figures(2.0), SLOW: figures(3.0)},
        {NOWHERE: figures(2.0), ANSWERING: figures(4.0), DEAD: figures(4.4), SLOW: figures(4.0)},
    ]

    *_, nowhere, _answering, dead, _slow = outage_table(rounds).splitlines()

    assert nowhere == (
        "| no tracking | 1.50 (1.00 to 2.00) | 1.000 (1.000 to 1.000) | 0.500 (0.500 to 0.500)"
        " | 0.14 (0.09 to 0.18) | 10.00 (10.00 to 10.00) | 0.50 (0.50 to 0.50) |  |  |  |  |"
    )
    assert dead == (
        "| dead | 3.20 (2.00 to 4.40) | 2.100 (2.000 to 2.200) | 1.050 (1.000 to 1.100)"
        " | 0.29 (0.18 to 0.40) | 10.00 (10.00 to 10.00) | 0.50 (0.50 to 0.50) | 3 | 56 | 0 | 0 |"
    )
