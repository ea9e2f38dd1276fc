"""The command line: what it imports, what it prints where, and how it ends."""

import dataclasses
import datetime
import errno
import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner, Result

from flows.commands import launch
from flows.commands.cli import main
from flows.commands.failures import Terminated
from flows.outcome import Outcome
from tasks.errors import InputError, IntegrityError, ServiceError
from tasks.tracking import recording
from tasks.tracking.recording import TrackedRun

HEAVY = (
    *("torch", "mlflow", "prefect", "polars", "pydantic", "rich", "sklearn"),
    *("httpx", "numpy", "psutil", "pyarrow", "scipy", "sqlalchemy"),
)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def training_ends_with(monkeypatch: pytest.MonkeyPatch):
    """Replace the run of the flow by an error or an outcome; returns the orders it got."""

    def replace(end: BaseException | Outcome) -> list[launch.Order]:
        orders = []

        def launch_training(order: launch.Order) -> Outcome:
            orders.append(order)
            if isinstance(end, BaseException):
                raise end
            return end

        monkeypatch.setattr(launch, "launch_training", launch_training)
        return orders

    return replace


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"], ["recipes"]])
def test_help_needs_no_heavy_import(arguments: list[str]):
    code = f"""
import sys
from flows.commands.cli import main
try:
    main({arguments})
except SystemExit as end:
    assert end.code == 0, end.code
print([name for name in {HEAVY} if name in sys.modules])
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.splitlines()[-1] == "[]"


def test_prefect_is_not_imported_before_its_server_is_named():
    code = "import sys, flows.commands.launch; print([name for name in ('prefect', 'polars') if name in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_help_names_every_command():
    result = invoke("--help")

    assert result.exit_code == 0
    for command in ("doctor", "predict", "recipes", "runs", "train"):
        assert f"  {command} " in result.stdout


def test_options_become_an_order(training_ends_with, outcome: Outcome):
    orders = training_ends_with(outcome)

    invoke(
        "train", "imdb", "--set", "a.b=1", "--set", "c=2", "--from-file", "x.csv", "--resume", "--refresh", "--debug"
    )

    assert orders == [
        launch.Order(recipe="imdb", settings=("a.b=1", "c=2"), from_file="x.csv", resume=True, refresh=True, debug=True)
    ]


def test_json_is_one_line(training_ends_with, outcome: Outcome):
    training_ends_with(outcome)

    result = invoke("train", "imdb", "--json")

    assert result.exit_code == 0
    assert result.stdout == f"{json.dumps(dataclasses.asdict(outcome))}\n"
    assert result.stderr == ""


def test_a_person_reads_a_summary(training_ends_with, outcome: Outcome):
    training_ends_with(outcome)

    assert "gru was registered as reviews, version 3, alias champion." in invoke("train", "imdb").stdout


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (InputError("E-A-001", "wrong.", fix="mend it.", file="a", row=3), 2, "E-A-001 a:3: wrong.\nFix: mend it.\n"),
        (IntegrityError("E-A-002", "wrong.", fix="mend it."), 3, "E-A-002 wrong.\nFix: mend it.\n"),
        (ServiceError("E-A-003", "wrong.", fix="mend it."), 5, "E-A-003 wrong.\nFix: mend it.\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "data/x"),
            4,
            "E-RES-001 data/x: the disk is full.\nFix: free space, then run again.\n",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "data/x"),
            4,
            "E-RES-003 data/x: access is denied.\n"
            "Fix: change its permissions, or set RNNFLOW_HOME to a folder of yours.\n",
        ),
        (
            MemoryError(),
            4,
            "E-RES-002 out of memory.\nFix: lower batch_tokens or max_length, or use fewer rows.\n",
        ),
        (
            TypeError("odd\nthing"),
            1,
            'E-BUG-001 unexpected TypeError: "odd\\nthing".\n'
            "Fix: this is a bug in rnnflow: please report it with the traceback that --debug shows.\n",
        ),
        (
            KeyboardInterrupt(),
            130,
            "Interrupted.\nFinished stages are kept: run the same command again to continue after them, with "
            "--resume also inside a fit.\n",
        ),
        (
            Terminated(),
            143,
            "Stopped by SIGTERM.\nFinished stages are kept: run the same command again to continue after them, with "
            "--resume also inside a fit.\n",
        ),
    ],
)
def test_every_failure_is_two_lines_and_a_status(training_ends_with, error: BaseException, status: int, text: str):
    training_ends_with(error)

    result = invoke("train", "imdb")

    assert (result.exit_code, result.stdout, result.stderr) == (status, "", text)


def test_a_failure_is_one_json_object_where_json_was_asked_for(training_ends_with):
    training_ends_with(InputError("E-A-001", "wrong.", fix="mend it.", file="a", row=3))

    result = invoke("train", "imdb", "--json")

    assert json.loads(result.stdout) == {
        "error": {"code": "E-A-001", "problem": "wrong.", "fix": "mend it.", "file": "a", "row": 3, "column": None},
        "exit_status": 2,
    }
    assert result.stderr == "E-A-001 a:3: wrong.\nFix: mend it.\n"


def test_debug_shows_the_traceback_before_the_two_lines(training_ends_with):
    training_ends_with(InputError("E-A-001", "wrong.", fix="mend it."))

    stderr = invoke("train", "imdb", "--debug").stderr

    assert stderr.startswith("Traceback (most recent call last):\n")
    assert stderr.endswith("E-A-001 wrong.\nFix: mend it.\n")


def test_a_mistyped_recipe_costs_no_server():
    result = invoke("train", "imdd")

    assert result.exit_code == 2
    assert result.stderr == (
        'E-CFG-001 no recipe is named "imdd".\nFix: write "imdb", or give the path of a TOML file.\n'
    )


def test_runs_are_listed(monkeypatch: pytest.MonkeyPatch):
    run = TrackedRun(
        run_id="r",
        recipe="reviews",
        name="fox\x1b[31m",
        flow_run_id="f",
        started=datetime.datetime(2025, 6, 1, 12, tzinfo=datetime.UTC),
        status="FINISHED",
        metric="accuracy",
        test=0.8912,
        version="reviews/3",
    )
    monkeypatch.setattr(recording, "list_runs", lambda: [run])

    row = invoke("runs").stdout.splitlines()[3].split()

    assert row[2:] == ["reviews", "fox\\x1b[31m", "finished", "accuracy", "0.8912", "3"]
    assert json.loads(invoke("runs", "--json").stdout)["runs"][0]["started"] == "2025-06-01 12:00:00+00:00"


def test_a_project_without_runs_says_how_to_start_one():
    assert invoke("runs").stdout == "No runs yet; start one with: rnnflow train reviews\n"
    assert invoke("runs", "--json").stdout == '{"runs": []}\n'


def test_recipes_are_listed_with_what_they_are():
    lines = invoke("recipes").stdout.splitlines()

    names = [line.split()[0] for line in lines]
    assert names == sorted(names)
    assert {"imdb", "reviews", "sea-temperature", "etth1", "japanese-vowels"} <= set(names)
    assert lines[names.index("imdb")].startswith("imdb             The Large Movie Review Dataset with its official")
    assert all(line.endswith(".") for line in lines)


def test_every_command_takes_debug():
    assert all("--debug" in [option for one in command.params for option in one.opts] for command in _commands())


def _commands() -> list[click.Command]:
    return list(main.commands.values())
