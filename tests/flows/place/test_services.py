"""Commands with a real Prefect server around them, as a shell would start them."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.place import services
from flows.place.prefect_api import answers
from flows.place.services import PrefectServer, prefect_server
from tasks.errors import ServiceError

ROOT = Path(__file__).parents[3]
STANDIN = Path(__file__).with_name("standin.py")


@dataclass
class Command:
    status: int
    stdout: str
    stderr: str


class Project:
    """A project folder in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, deed: str, *options: str) -> subprocess.Popen:
        (self.folder / "rows.csv").write_text("text,label\nword,a\n")
        recipe = self.folder / f"{deed}.toml"
        recipe.write_text('[source]\npath = "rows.csv"\n')
        return subprocess.Popen(
            [sys.executable, str(STANDIN), "train", str(recipe), *options],
            cwd=self.folder,
            env={"PYTHONPATH": str(ROOT), "RNNFLOW_HOME": str(self.folder), "HOME": str(self.folder), "PATH": ""},
            stdout=subprocess.PIPE,
            stderr=(self.folder / f"{deed}.stderr").open("w"),
            text=True,
        )

    def end(self, process: subprocess.Popen, deed: str) -> Command:
        stdout, _ = process.communicate(timeout=200)
        return Command(process.returncode, stdout, self.stderr_of(deed))

    def stderr_of(self, deed: str) -> str:
        return (self.folder / f"{deed}.stderr").read_text()

    def log_of(self, deed: str) -> str:
        return next((self.folder / "data" / "logs").glob(f"{deed}-*.log")).read_text()

    def recorded_states(self) -> list[tuple[str, Counter]]:
        """State of each flow run in the database that is left, and how many of its task runs are in which state."""
        with sqlite3.connect(self.folder / "data" / "prefect" / "prefect.db") as database:
            flow_runs = database.execute("SELECT id, state_name FROM flow_run").fetchall()
            task_runs = database.execute("SELECT flow_run_id, state_name FROM task_run").fetchall()
        return sorted(
            [(state, Counter(task for owner, task in task_runs if owner == flow)) for flow, state in flow_runs],
            key=lambda run: run[0],
        )


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, Command]]:
    """A command that succeeds in an empty folder; then, at the same time, one that fails and one that is ended."""
    project = Project(tmp_path_factory.mktemp("history"))
    commands = {"warns": project.end(project.start("warns", "--json"), "warns")}
    failing, sleeping = project.start("fails"), project.start("sleeps")
    while "stage 6" not in project.stderr_of("sleeps") and sleeping.poll() is None:
        time.sleep(0.1)
    sleeping.send_signal(signal.SIGTERM)
    commands["sleeps"] = project.end(sleeping, "sleeps")
    commands["fails"] = project.end(failing, "fails")
    return project, commands


def progress_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if " s  stage " in line]


def other_lines(text: str) -> list[str]:
    """All lines but progress, after the one that every run begins with."""
    first, *lines = [line for line in text.splitlines() if " s  stage " not in line]
    assert re.fullmatch(r"Watch this run at http://127\.0\.0\.1:\d+/v2", first)
    return lines


def test_json_is_all_there_is_on_stdout(history: tuple[Project, dict[str, Command]]):
    command = history[1]["warns"]

    assert command.status == 0
    assert json.loads(command.stdout)["recipe"] == "warns"
    assert command.stdout.count("\n") == 1


def test_progress_and_our_own_warnings_are_all_there_is_on_stderr(history: tuple[Project, dict[str, Command]]):
    stderr = history[1]["warns"].stderr

    assert len(progress_lines(stderr)) == 12
    assert other_lines(stderr) == ["Warning: Odd: \\x1b[31m", "Warning: Cleaned up."]


def test_the_log_keeps_what_the_terminal_is_spared(history: tuple[Project, dict[str, Command]]):
    log = history[0].log_of("warns")

    assert log.count("INFO stdout: a library prints") == 12
    assert "INFO prefect.flow_runs: Finished in state Completed()" in log
    assert "Traceback" in history[0].log_of("fails")


def test_an_error_in_a_task_reaches_the_user_as_two_lines(history: tuple[Project, dict[str, Command]]):
    command = history[1]["fails"]

    assert command.status == 2
    assert command.stdout == ""
    assert other_lines(command.stderr) == [
        "Warning: Cleaned up.",
        "E-DATA-002 a.csv:3: got 3, expected 2.",
        "Fix: mend it.",
    ]


def test_sigterm_lets_the_flow_clean_up(history: tuple[Project, dict[str, Command]]):
    command = history[1]["sleeps"]

    assert command.status == 143
    assert other_lines(command.stderr) == [
        "Warning: Cleaned up.",
        "Stopped by SIGTERM.",
        "Finished stages are kept: run the same command again to continue after them, with --resume also inside a fit.",
    ]


def test_the_database_holds_the_end_of_every_task_though_two_commands_ran_at_once(
    history: tuple[Project, dict[str, Command]],
):
    assert history[0].recorded_states() == [
        ("Completed", Counter(Completed=12)),
        ("Crashed", Counter(Completed=6, Crashed=1)),
        ("Failed", Counter(Completed=6, Failed=1)),
    ]


def test_no_server_outlives_its_command(history: tuple[Project, dict[str, Command]]):
    log = (history[0].folder / "data" / "prefect" / "server.log").read_text()
    ports = [int(line.rpartition(":")[2]) for line in log.splitlines() if "dashboard at http" in line]

    assert len(ports) == 3
    assert not any(answers(f"http://127.0.0.1:{port}/api") for port in ports)


def test_a_given_server_that_is_silent_is_reported_without_its_password(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://me:secret@127.0.0.1:9/api/")

    with prefect_server() as server, pytest.raises(ServiceError) as caught:
        server.wait_until_ready()

    assert server == PrefectServer(url="http://me:secret@127.0.0.1:9/api")
    assert str(caught.value) == (
        'E-SVC-001 no Prefect server answers at PREFECT_API_URL="http://127.0.0.1:9/api".\n'
        "Fix: start that server, or unset PREFECT_API_URL: the command then starts a server itself."
    )


@pytest.fixture
def failing_server(monkeypatch: pytest.MonkeyPatch, project: Path):
    """Let the server that is started print a line and die."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    def start(line: str) -> str:
        monkeypatch.setattr(services, "SERVER_COMMAND", ("-c", f"import sys; sys.exit({line!r})"))
        with prefect_server() as server, pytest.raises(ServiceError) as caught:
            server.wait_until_ready()
        return str(caught.value).replace(str(project), "HOME")

    return start


def test_a_server_that_cannot_start_is_explained_by_the_end_of_its_log(failing_server):
    assert failing_server("TypeError: Body() got an unexpected keyword argument 'min_items'") == (
        "E-SVC-002 the Prefect server did not start; its log ends with "
        "\"TypeError: Body() got an unexpected keyword argument 'min_items'\".\n"
        "Fix: pip install -r requirements.lock (fastapi and sqlalchemy are pinned); "
        "the whole log: HOME/data/prefect/server.log"
    )


def test_a_server_that_starts_slowly_is_told_from_one_that_failed(failing_server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(services, "START_LIMIT_S", 0.2)
    monkeypatch.setattr(services, "SERVER_COMMAND", ["-c", "import time; time.sleep(60)"])

    with pytest.raises(ServiceError) as caught, prefect_server() as server:
        server.wait_until_ready()

    assert str(caught.value).startswith("E-SVC-029 the Prefect server is still starting after 0.2 s, its log is ")
    assert str(caught.value).endswith("Fix: run the command again once the machine is less busy; nothing was lost.")


def test_a_damaged_database_is_named(failing_server):
    assert failing_server("sqlite3.DatabaseError: file is not a database") == (
        "E-SVC-003 HOME/data/prefect/prefect.db: the database of the Prefect server is damaged.\n"
        "Fix: move it away (mv HOME/data/prefect/prefect.db HOME/data/prefect/prefect.db.damaged); "
        "only the history on the dashboard goes with it."
    )


def test_only_the_log_of_this_start_explains_it(failing_server):
    failing_server("sqlite3.DatabaseError: file is not a database")

    assert failing_server("other").startswith('E-SVC-002 the Prefect server did not start; its log ends with "other".')


def test_the_environment_is_as_before_when_the_server_is_gone(monkeypatch: pytest.MonkeyPatch, failing_server):
    monkeypatch.setenv("NO_PROXY", "example.org")
    before = dict(services.os.environ)

    failing_server("gone")

    assert dict(services.os.environ) == before


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone ends a process with its parent")
def test_a_killed_command_takes_its_server_along(project: Path):
    code = """
import time
from flows.place import services
services.SERVER_COMMAND = ("-c", "import time; time.sleep(100)")
with services.prefect_server() as server:
    print(server.own.process.pid, flush=True)
    time.sleep(100)
"""
    command = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    status = Path("/proc", command.stdout.readline().strip(), "status")
    while "python" not in status.read_text().partition("\n")[0]:
        time.sleep(0.01)
    command.kill()
    command.communicate()

    deadline = time.monotonic() + 10
    while status.exists() and "State:\tZ" not in status.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not status.exists() or "State:\tZ" in status.read_text()
