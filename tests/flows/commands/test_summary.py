"""What a person reads when a run has ended."""

import dataclasses
import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from flows.commands.summary import duration, next_commands, print_summary
from flows.outcome import Outcome


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
                        valid                test    test
 model            accuracy, %         accuracy, %    loss     fit
 ────────────────────────────────────────────────────────────────
 gru (best)              89.1   88.9 [88.4, 89.4]   0.271   134 s
 lstm                    87.1   86.9 [86.4, 87.4]   0.271    61 s
 tfidf-logistic          88.1   87.9 [87.4, 88.4]   0.271    31 s

gru was registered as reviews, version 3, alias champion.
First model.
Report: data/report/c3/report.html
2 stages in 7 min 12 s, 1 of them reused from earlier runs.

Next:
  classify texts, one a line
    rnnflow predict reviews/3 data/register/d4/texts.txt answers.csv
  see this run in Prefect's and MLflow's pages
    rnnflow up"""
    )


def test_a_better_baseline_is_named_plainly(outcome: Outcome):
    beaten = dataclasses.replace(outcome, baseline_wins=True)

    assert (
        "gru was registered as reviews, version 3, alias champion.\n"
        "First model.\n"
        "The baseline tfidf-logistic scores better on validation by evaluate.select_by: a simple model is enough "
        "here, or the candidates need more training.\n"
    ) in summary_of(beaten)


def test_a_verdict_that_was_reached_earlier_is_told_as_such(outcome: Outcome):
    gate = {"name": "gate", "key": "e5", "cached": True, "wall_s": 0.0}

    repeated = summary_of(dataclasses.replace(outcome, stages=[*outcome.stages, gate]))

    assert "alias champion.\nAs decided in an earlier run: First model.\n" in repeated


def test_what_the_best_candidate_joins_is_named(outcome: Outcome):
    join = {**outcome.candidates[1], "name": "stacked", "joins": "gru", "joined_with": "tfidf-logistic", "weight": 0.7}
    joined = dataclasses.replace(outcome, candidates=[*outcome.candidates, join], best="stacked")

    assert (
        "stacked was registered as reviews, version 3, alias champion.\n"
        "First model.\n"
        "It joins gru and 0.7 times tfidf-logistic.\n"
    ) in summary_of(joined)


def test_a_command_in_a_reason_can_be_copied(outcome: Outcome):
    reason = (
        "refused: champion v1 is registered no longer. To accept this version: rnnflow promote reviews/3 --reason TEXT"
    )
    refused = dataclasses.replace(outcome, gate={**outcome.gate, "reasons": [reason]})

    assert reason in summary_of(refused).splitlines()


TOLD = {
    "problems": ["2 of 3 tokens are unknown: set encode.tokenizer."],
    "outdone": ["The baseline x is better on test than gru: loss 0.1 against 0.2."],
    "warnings": [f"{number} rows were sorted" for number in range(1, 12)],
    "data": {"ingest": {"rows": 1920, "filtered": {"country": 7}}, "split": {"splits": {"train": 1900, "test": 20}}},
}


def test_problems_come_first_and_warnings_after_the_verdict(outcome: Outcome):
    lines = summary_of(dataclasses.replace(outcome, **TOLD)).splitlines()

    assert lines[0] == TOLD["problems"][0]
    after = lines[lines.index("First model.") + 1 :]
    assert after[:2] == [
        "The baseline x is better on test than gru: loss 0.1 against 0.2.",
        "Data: 1,920 rows used; 7 others left out by where.country; 1,900 train, 20 test.",
    ]
    assert after[2:11] == [*(f"  {one}" for one in TOLD["warnings"][:8]), "  and 3 more in the report"]


def test_a_run_that_waits_for_mlflow_says_what_was_found_all_the_same(outcome: Outcome):
    waiting = {"registered": {}, "gate": {}, "report": "", "pending": "pending sync."}
    lines = summary_of(dataclasses.replace(outcome, **TOLD, **waiting)).splitlines()

    assert lines[0] == TOLD["problems"][0]
    assert "  8 rows were sorted" in lines
    assert "  and 3 more in what --json prints" in lines


def test_a_long_name_is_folded_and_no_figure_cut(outcome: Outcome):
    long = dataclasses.replace(outcome, candidates=[{**outcome.candidates[1], "name": "x" * 64}], best="x" * 64)

    text = summary_of(long)

    assert "89.1   88.9 [88.4, 89.4]   0.271   134 s" in text
    assert "…" not in text


def test_names_cannot_act_on_the_terminal(outcome: Outcome):
    assert "\x1b" not in summary_of(dataclasses.replace(outcome, best="\x1b[31m", report="data/\x1b[2J"))


def test_commands_that_the_shell_does_not_find_are_named_by_path(outcome: Outcome, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")

    assert f"{Path(sys.executable).with_name('rnnflow')} up" in next_commands(outcome).values()


def test_a_run_that_mlflow_did_not_answer_says_what_is_left_to_do(outcome: Outcome):
    pending = "pending sync: 3 records and the registration wait for MLflow."
    waiting = dataclasses.replace(outcome, registered={}, gate={}, report="", pending=pending)

    assert f"Nothing is lost; {pending}\nOnce MLflow runs: rnnflow sync" in summary_of(waiting)


@pytest.mark.parametrize(
    ("wall_s", "text"), [(0.44, "0.4 s"), (59.2, "59.2 s"), (59.9, "1 min 00 s"), (432, "7 min 12 s")]
)
def test_durations_read_as_people_say_them(wall_s: float, text: str):
    assert duration(wall_s) == text
