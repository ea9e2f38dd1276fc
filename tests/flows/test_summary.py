"""What a person reads when a run has ended."""

import dataclasses
import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from flows.outcome import Outcome
from flows.summary import duration, mlflow_command, prefect_command, print_summary


def summary_of(outcome: Outcome) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_summary(outcome, console)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


@pytest.fixture(autouse=True)
def _inside_the_project(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(project)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))


def test_the_summary_fits_into_80_columns(outcome: Outcome):
    assert (
        summary_of(outcome)
        == """
 model            valid accuracy, %    test accuracy, %   test loss     fit
 ──────────────────────────────────────────────────────────────────────────
 gru (best)       89.1 [88.1, 90.1]   88.9 [88.4, 89.4]       0.271   134 s
 lstm             87.1 [86.1, 88.1]   86.9 [86.4, 87.4]       0.271    61 s
 tfidf-logistic   88.1 [87.1, 89.1]   87.9 [87.4, 88.4]       0.271    31 s

gru was registered as reviews, version 3, alias champion.
Report: data/report/c3/report.html
2 stages in 7 min 12 s, 1 of them reused from earlier runs.

Next:
  classify a text
    echo "One of the best of the year." > texts.txt && rnnflow predict reviews@champion texts.txt answers.csv
  compare runs in MLflow
    mlflow ui --workers 1 --backend-store-uri sqlite:///mlruns/mlflow.db --artifacts-destination mlruns/artifacts
  see flow runs in Prefect
    PREFECT_HOME=data/prefect prefect server start"""
    )


def test_a_better_baseline_is_named_plainly(outcome: Outcome):
    beaten = dataclasses.replace(outcome, baseline_wins=True)

    assert (
        "gru was registered as reviews, version 3, alias champion.\n"
        "The baseline tfidf-logistic scores better: a linear model is enough here, or the\n"
        "candidates need more training.\n"
    ) in summary_of(beaten)


def test_a_long_name_is_folded_and_no_figure_cut(outcome: Outcome):
    long = dataclasses.replace(outcome, candidates=[{**outcome.candidates[1], "name": "x" * 64}], best="x" * 64)

    text = summary_of(long)

    assert "89.1 [88.1, 90.1]   88.9 [88.4, 89.4]       0.271   134 s" in text
    assert "…" not in text


def test_names_cannot_act_on_the_terminal(outcome: Outcome):
    assert "\x1b" not in summary_of(dataclasses.replace(outcome, best="\x1b[31m", report="data/\x1b[2J"))


def test_commands_work_from_another_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch, project: Path):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    assert mlflow_command() == (
        f"mlflow ui --workers 1 --backend-store-uri sqlite:///{project}/mlruns/mlflow.db "
        f"--artifacts-destination {project}/mlruns/artifacts"
    )
    assert prefect_command() == f"PREFECT_HOME={project}/data/prefect prefect server start"


def test_commands_that_the_shell_does_not_find_are_named_by_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")

    assert prefect_command().endswith(f" {Path(sys.executable).with_name('prefect')} server start")


def test_servers_in_use_are_named_instead_without_their_passwords(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://me:secret@prefect.example:4200/api/")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@mlflow.example:5000")

    assert prefect_command() == "open http://prefect.example:4200"
    assert mlflow_command() == "open http://mlflow.example:5000"


@pytest.mark.parametrize(
    ("wall_s", "text"), [(0.44, "0.4 s"), (59.2, "59.2 s"), (59.9, "1 min 00 s"), (432, "7 min 12 s")]
)
def test_durations_read_as_people_say_them(wall_s: float, text: str):
    assert duration(wall_s) == text
