"""The project's own store needs no server, knows no path and answers within bounds."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tasks.errors import InputError, IntegrityError, ServiceError
from tasks.promotion import named_models
from tasks.registry import registered_model
from tasks.tracking import mlflow_client, recording, runs


def write_address(address: str) -> None:
    """Tell that `rnnflow up` runs a server over this project's store."""
    mlflow_client.mlruns().mkdir(exist_ok=True)
    (mlflow_client.mlruns() / "server.json").write_text(json.dumps({"address": address}))


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_an_artifact_address_leads_into_the_folder_of_artifacts(tmp_path):
    path = mlflow_client.local_artifact("mlflow-artifacts:/reviews/models/m-1/artifacts", tmp_path)

    assert path == tmp_path / "reviews" / "models" / "m-1" / "artifacts"


@pytest.mark.parametrize(
    "uri",
    [
        "/etc",
        "file:///etc",
        "mlflow-artifacts:/../outside",
        "mlflow-artifacts:/a/%2e%2e/%2e%2e/outside",
        "mlflow-artifacts://other-host/a",
        "s3://bucket/a",
    ],
)
def test_an_artifact_address_that_leads_elsewhere_is_refused(tmp_path, uri):
    with pytest.raises(IntegrityError) as caught:
        mlflow_client.local_artifact(uri, tmp_path)

    assert str(caught.value) == (
        f'E-REG-004 artifact address "{uri}" points outside {tmp_path}.\n'
        "Fix: register the model again; only files of the project's own store are loaded."
    )


def test_a_link_inside_the_folder_does_not_lead_out_of_it(tmp_path):
    (tmp_path / "link").symlink_to("/etc")

    with pytest.raises(IntegrityError):
        mlflow_client.local_artifact("mlflow-artifacts:/link/passwd", tmp_path)


@pytest.mark.slow
def test_an_mlflow_server_shows_what_was_written_without_one(registered_home, tmp_path, monkeypatch):
    home = shutil.copytree(registered_home, tmp_path / "moved")
    monkeypatch.setenv("RNNFLOW_HOME", str(home))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = [
        "--backend-store-uri",
        mlflow_client.local_store_uri(),
        "--artifacts-destination",
        str(home / "mlruns/artifacts"),
    ]
    # Background jobs are for MLflow's judges; without them the server starts in half the time.
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *store],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        cwd=tmp_path,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/health")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        [listed] = recording.list_runs()
        downloaded = named_models.resolve_model("reviews")
        write_address(address)
        own = named_models.resolve_model("reviews")
        run_id = runs.open_run(runs.RunContext(recipe="reviews", flow_run_id="flow-2"))
        recording.record_json(run_id, "a.json", {"a": 1})
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()

    assert listed.version == "reviews/1"
    assert downloaded.folder.parent == home / "data" / "models"
    assert own.folder.is_relative_to(home / "mlruns" / "artifacts")
    assert len(list((home / "mlruns" / "artifacts").rglob("a.json"))) == 1
    assert len(registered_model.load_pyfunc(downloaded).predict(["a great film"])) == 1


def test_the_server_over_this_projects_store_is_the_projects_own_store(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5001/")
    assert not mlflow_client.is_own_store()
    assert mlflow_client.store_name() == "http://127.0.0.1:5001/"

    write_address("http://127.0.0.1:5001")

    assert mlflow_client.is_own_store()
    assert mlflow_client.store_name() == "mlruns"
    assert mlflow_client.fetch_artifacts("mlflow-artifacts:/1/a") == project / "mlruns" / "artifacts" / "1" / "a"


def test_processes_that_want_the_same_files_of_a_model_fetch_them_once(project, monkeypatch, tmp_path):
    (tmp_path / "served" / "a").mkdir(parents=True)
    (tmp_path / "served" / "a" / "weights").write_text("whole")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5001")
    fetched = []

    def download_artifacts(*, artifact_uri: str, dst_path: str, tracking_uri: str) -> str:
        fetched.append(artifact_uri)
        time.sleep(0.1)
        return shutil.copytree(tmp_path / "served" / "a", Path(dst_path) / "a")

    artifacts = types.SimpleNamespace(download_artifacts=download_artifacts)
    monkeypatch.setattr(mlflow_client, "load_mlflow", lambda: types.SimpleNamespace(artifacts=artifacts))
    with ThreadPoolExecutor(4) as threads:
        folders = set(threads.map(mlflow_client.fetch_artifacts, ["mlflow-artifacts:/1/a"] * 4))

    assert len(fetched) == 1
    assert [(folder / "weights").read_text() for folder in folders] == ["whole"]


def test_a_server_over_another_store_is_not_taken_for_our_own(project, monkeypatch):
    write_address("http://127.0.0.1:5001")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5002")

    assert not mlflow_client.is_own_store()
    assert mlflow_client.pages_address() == "http://127.0.0.1:5002"


def test_pages_are_those_of_the_running_server_else_of_mlflow_ui(project):
    assert mlflow_client.pages_address() == "http://127.0.0.1:5000"

    write_address("http://127.0.0.1:5001")

    assert mlflow_client.pages_address() == "http://127.0.0.1:5001"


def test_a_file_that_is_damaged_is_not_awaited(project):
    mlflow_client.mlruns().mkdir()
    (mlflow_client.mlruns() / "mlflow.db").write_bytes(b"no database" * 1000)
    started = time.perf_counter()

    with pytest.raises(ServiceError, match="file is not a database"):
        mlflow_client.wait_until_answering()

    assert time.perf_counter() - started < 20


def wait_for(url: str, *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=1).is_success:
                return
        time.sleep(0.2)
    pytest.fail(f"{url} did not answer within {seconds} s")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "-x", "a" * 65, "a\n", "a'b", "caf\u00e9", "a:b", "a\0"])
def test_names_that_are_unsafe_somewhere_are_refused(name):
    with pytest.raises(InputError, match="E-NAME-001"):
        mlflow_client.check_name(name, what="model name")


def test_a_refused_name_is_shown_escaped():
    with pytest.raises(InputError) as caught:
        mlflow_client.check_name("evil\x1b[31m", what="model name")

    assert str(caught.value) == (
        'E-NAME-001 model name: got "evil\\x1b[31m", expected 1 to 64 letters, digits, dots, underscores or hyphens, '
        "the first a letter or digit.\nFix: choose such a name."
    )


def test_the_name_of_a_store_holds_no_credentials(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example:5000/a")

    assert mlflow_client.store_name() == "https://mlflow.example:5000/a"


def test_a_project_without_a_store_is_told_apart_without_mlflow(project):
    code = "import sys; from tasks.tracking import recording; print(recording.list_runs(), 'mlflow' in sys.modules)"

    assert run_python(code).stdout == "[] False\n"


def test_a_creation_that_is_cut_short_leaves_no_store_and_the_next_one_starts_anew(project, monkeypatch):
    def cut_short(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    database = project / "mlruns" / "mlflow.db"
    client = mlflow_client.load_mlflow().MlflowClient
    with monkeypatch.context() as patch:
        patch.setattr(client, "search_registered_models", cut_short)
        with pytest.raises(KeyboardInterrupt):
            mlflow_client.connect()
    (project / "mlruns" / "creating" / "mlflow.db").write_bytes(b"half a database")

    assert not database.exists()
    assert mlflow_client.connect().search_experiments()
    assert database.exists()
    assert not (project / "mlruns" / "creating").exists()


def test_the_store_is_created_whole_when_two_processes_start_at_once(project, heavy_process):
    code = "from tasks.tracking import runs; print(runs.open_run(runs.RunContext(recipe='reviews', flow_run_id='f{}')))"
    started = [heavy_process.start(code.format(number), cwd=Path.cwd()) for number in (1, 2)]

    outputs = [process.communicate()[0] for process in started]

    assert [process.returncode for process in started] == [0, 0]
    assert len(set(outputs)) == 2
    assert len(mlflow_client.connect().search_experiments(filter_string="name = 'reviews'")) == 1


def test_no_experiment_of_the_store_holds_a_path(mlflow_store):
    locations = {one.artifact_location for one in mlflow_client.connect().search_experiments()}

    assert locations == {"mlflow-artifacts:/0"}


def test_a_dead_server_costs_seconds_and_two_lines(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    started = time.perf_counter()

    with pytest.raises(ServiceError) as caught, mlflow_client.answering():
        mlflow_client.connect().search_experiments()

    assert time.perf_counter() - started < 20
    assert str(caught.value).startswith('E-SVC-004 MLflow\'s store "http://127.0.0.1:9" failed: "API request to ')
    assert str(caught.value).count("\n") == 1
    assert caught.value.exit_code == 5


def test_a_damaged_database_is_a_service_error(project):
    mlflow_client.mlruns().mkdir()
    (mlflow_client.mlruns() / "mlflow.db").write_bytes(b"no database" * 1000)

    with pytest.raises(ServiceError, match="file is not a database"), mlflow_client.answering():
        mlflow_client.connect()
