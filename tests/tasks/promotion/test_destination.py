"""An address that cannot keep what is made is refused before anything is made, with a remedy; silence is not."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from flows.commands.doctor import FAIL, OK, examine_environment
from tasks.errors import InputError, ServiceError
from tasks.promotion import destination
from tasks.promotion.destination import check_address, check_destination
from tasks.tracking import mlflow_client

FILE_STORE = 'MLFLOW_TRACKING_URI: got "{}", a folder of files, which MLflow no longer writes to.'


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch):
    def point(uri: str) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)

    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    return point


@pytest.fixture
def answer() -> Iterator[dict]:
    """A server that answers everything alike: with `status` and `text`; its `address`."""
    given: dict = {"status": 200, "text": "3.17.2"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(given["status"])
            self.end_headers()
            self.wfile.write(given["text"].encode())

        do_POST = do_GET  # noqa: N815 (the standard library's name)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield given | {"given": given, "address": f"http://127.0.0.1:{server.server_port}"}
        server.shutdown()


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", "file:///tmp/somewhere"])
def test_a_folder_of_files_is_refused_with_a_remedy_that_works(project, address, monkeypatch, uri):
    address(uri)
    with pytest.raises(InputError) as caught:
        check_destination("reviews")
    [found] = [finding for finding in examine_environment() if finding.subject == "mlflow store"]

    assert (caught.value.code, caught.value.problem) == ("E-SVC-024", FILE_STORE.format(uri))
    assert (found.status, found.detail, found.fix) == (FAIL, caught.value.problem, caught.value.fix)
    assert caught.value.fix.startswith(f"unset it, or set it to sqlite:///{project}/mlflow.db or a server's")
    address(f"sqlite:///{project}/mlflow.db")
    check_address()
    address(uri)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    check_address()


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("ftp://example.org/x", "E-SVC-025"),
        ("htp://127.0.0.1:5000", "E-SVC-025"),
        ("postgresql+nosuch://kim:secret@127.0.0.1/x", "E-SVC-025"),
        ("sqlite:////nowhere/at/all/mlflow.db", "E-SVC-026"),
        ("sqlite:////proc/mlflow.db", "E-SVC-026"),
    ],
)
def test_what_cannot_be_opened_is_refused_by_name_and_without_its_password(address, uri, code):
    address(uri)

    with pytest.raises(InputError, match=code) as caught:
        check_destination("reviews")

    assert "MLFLOW_TRACKING_URI" in str(caught.value)
    assert uri.partition(":")[0] in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_projects_own_store_is_found_fit_without_mlflow(project, fresh_process):
    code = "import sys; from tasks.promotion.destination import check_destination; check_destination('m'); "
    shown = fresh_process.run(
        code + "print({'mlflow', 'torch'} & {*sys.modules})", cwd=Path(destination.__file__).parents[2]
    )

    assert shown.stdout.strip() == "set()", shown.stderr
    assert list(project.iterdir()) == []
    [found] = [finding for finding in examine_environment() if finding.subject == "mlflow store"]
    assert (found.status, found.detail) == (OK, "mlruns/mlflow.db")


@pytest.mark.parametrize(
    ("status", "text", "problem"),
    [
        (200, "2.22.0", "is MLflow 2.22.0, and this is MLflow"),
        (200, "<html>Welcome</html>", "is not an MLflow server (/version: HTTP 200)"),
        (404, "not found", "is not an MLflow server (/version: HTTP 404)"),
        (401, "who are you?", "is not an MLflow server (/version: HTTP 401)"),
    ],
)
def test_a_server_of_another_kind_or_version_is_refused(address, answer, status, text, problem):
    answer["given"].update(status=status, text=text)
    address(answer["address"])

    with pytest.raises(ServiceError) as caught:
        check_destination("reviews")

    assert caught.value.code == "E-SVC-027"
    assert f'"{answer["address"]}" {problem}' in caught.value.problem


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_does_not_answer_may_answer_later(address, answer, status):
    answer["given"].update(status=status, text="busy")
    address(answer["address"])

    check_destination("reviews")


def test_a_server_that_is_not_there_may_come(address):
    address("http://127.0.0.1:9")

    check_destination("reviews")

    [found] = [finding for finding in examine_environment() if finding.subject == "mlflow store"]
    assert found.status == FAIL


@pytest.mark.parametrize(
    ("error", "code"),
    [("PERMISSION_DENIED", "E-SVC-028"), ("INVALID_PARAMETER_VALUE", "E-SVC-028"), ("INTERNAL_ERROR", "E-SVC-004"),
     ("TEMPORARILY_UNAVAILABLE", "E-SVC-004")],
)  # fmt: skip
def test_what_would_be_refused_again_is_told_from_what_may_pass(address, error, code):
    from mlflow.protos.databricks_pb2 import ErrorCode

    address("http://127.0.0.1:9")
    message = "a message that is longer than eighty characters,\nand says only at its very end how it is mended: " + "x"

    with pytest.raises(ServiceError) as caught, mlflow_client.answering():
        raise mlflow.MlflowException(message, error_code=ErrorCode.Value(error))

    assert caught.value.code == code
    assert message.replace("\n", " ") in caught.value.problem


def test_a_path_is_not_taken_for_the_projects_own_store(address):
    address("./mlruns")

    assert mlflow_client.store_name() == "./mlruns"
