"""The commands that say who is champion, and let a person decide it."""

import json
import re

import pytest
from click.testing import CliRunner, Result

from flows.commands.cli import main
from tasks.errors import InputError
from tasks.promotion import ledger, overrides
from tasks.promotion.ledger import Draft, Entry


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def entries() -> list[Entry]:
    kept = "kept: 91.20 % against 91.00 % of champion v1 on 2,491 rows; 61 rows won, 56 lost; p = 0.36 > alpha 0.05"
    drafts = [
        Draft(model="reviews", action="first", champion="1", challenger="1", reason="no champion yet", actor="gate"),
        Draft(model="reviews", action="kept", champion="1", challenger="2", reason=kept, actor="gate"),
        Draft(model="reviews", action="promote", champion="2", previous="1", reason="[b]\x1b[31m", actor="kim"),
    ]
    return [ledger.append(draft, expected=number) for number, draft in enumerate(drafts)]


def test_the_history_tells_who_did_what_and_why_and_data_cannot_paint_it(entries, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = invoke("history", "reviews")

    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert [line[:3].strip() for line in lines if line[2:3].isdigit()] == ["1", "2", "3"]
    assert re.fullmatch(r"  1  20\d\d-\d\d-\d\d \d\d:\d\d  first v1, by \w+: champion is v1 *", lines[0])
    assert lines[1].startswith("    no champion")
    assert "[b]\\x1b[31m" in shown.output.replace("\n", "")
    assert "\x1b" not in shown.output


def test_the_history_tells_what_was_noted_of_the_rows(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    reasons = [
        "kept: 80 % against 81 %.",
        "The test rows changed with the source (rows with another label: 8).",
        "Fix: x",
    ]
    verdict = {"model": "reviews", "champion": "1", "challenger": "2", "actor": "gate", "verdict": {"reasons": reasons}}
    ledger.append(Draft(action="kept", reason=reasons[0], **verdict), expected=0)

    assert " ".join(reasons[:2]) == invoke("history", "reviews").output.splitlines()[1].strip()


def test_the_history_can_be_read_by_programs(entries):
    shown = json.loads(invoke("history", "reviews", "--json").output)

    assert [entry["champion"] for entry in shown["entries"]] == ["1", "1", "2"]
    assert shown["entries"][2]["digest"] == entries[2].digest


def test_a_model_without_a_history_is_said_to_have_none(project):
    shown = invoke("history", "reviews")

    assert shown.output == "No champion of reviews was ever chosen; `rnnflow runs` lists what was trained.\n"
    assert shown.exit_code == 0
    assert list(project.iterdir()) == []


def test_a_bad_name_is_refused():
    refused = invoke("history", "../reviews")

    assert refused.exit_code == 2
    assert refused.stderr.startswith('E-NAME-001 model name: got "../reviews"')


@pytest.mark.parametrize(
    ("command", "called"), [(("promote", "reviews/2"), "promote"), (("rollback", "reviews"), "roll_back")]
)
def test_a_decision_is_told_with_the_way_back(entries, monkeypatch, command, called):
    calls = []

    def decide(subject: str, *, reason: str) -> Entry:
        calls.append((subject, reason))
        return entries[2]

    monkeypatch.setattr(overrides, called, decide)
    monkeypatch.setattr(overrides, "find_way_back", lambda _: "1")

    shown = invoke(*command, "--reason", "better on slang")
    as_json = json.loads(invoke(*command, "--reason", "better on slang", "--json").output)

    assert calls == [(command[1], "better on slang")] * 2
    assert shown.output == (
        "reviews/2 is champion (entry 3: promote).\nBack to reviews/1: rnnflow rollback reviews --reason TEXT\n"
    )
    assert (as_json["champion"], as_json["number"]) == ("2", 3)


@pytest.mark.parametrize("command", [("promote", "reviews/2"), ("rollback", "reviews")])
def test_a_decision_needs_a_reason(command):
    assert invoke(*command).exit_code == 2
    assert "Missing option '--reason'" in invoke(*command).stderr

    blank = invoke(*command, "--reason", " ")

    assert blank.exit_code == InputError.exit_code
    assert blank.stderr == (
        'E-REG-008 reason: got " ", expected 1 to 1,000 characters.\n'
        "Fix: give the reason in one sentence; `rnnflow history` shows it.\n"
    )


def test_an_absent_version_is_named():
    refused = invoke("promote", "reviews/7", "--reason", "r")

    assert refused.stderr.startswith('E-REG-001 model "reviews/7" is not registered in "mlruns".')
    assert refused.exit_code == 2


def test_a_lost_race_tells_what_to_look_at(monkeypatch):
    def lose(*_, **__):
        raise ledger.ChampionChanged("reviews", 4)

    monkeypatch.setattr(overrides, "promote", lose)

    lost = invoke("promote", "reviews/2", "--reason", "r", "--json")

    assert lost.exit_code == 5
    assert json.loads(lost.stdout)["error"]["code"] == "E-LED-001"
