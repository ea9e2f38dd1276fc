"""The command that writes texts: what it passes on, what it prints, how it ends."""

import json

import pytest
from click.testing import CliRunner, Result

from flows.commands.cli import main
from flows.commands.generating import shown_pieces
from tasks.kinds.language.generate import Generation
from tasks.prediction import dispatch


def invoke(*arguments: str, **options: object) -> Result:
    return CliRunner().invoke(main, ["generate", *arguments], **options)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list:
    """Replace the model by one that writes two pieces; returns what it was asked."""
    calls = []

    def begin_text(model: str, prompt: str, **sampling: object) -> Generation:
        calls.append((model, prompt, sampling))
        return Generation(seed=sampling.get("seed", 77), pieces=iter([" went", " on."]))

    monkeypatch.setattr(dispatch, "begin_text", begin_text)
    return calls


def test_a_text_follows_its_prompt_and_the_seed_is_told(written: list):
    result = invoke("plays@champion", "--prompt", "The king")

    assert written == [("plays@champion", "The king", {})]
    assert (result.exit_code, result.stdout) == (0, "The king went on.\n")
    assert result.stderr == "--seed 77 writes this text again.\n"


def test_every_setting_is_passed_on(written: list):
    settings = {"length": 9, "temperature": 0.5, "top_k": 3, "top_p": 0.9, "seed": 4}
    options = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))]

    result = invoke("plays", *options)

    assert written == [("plays", "", settings)]
    assert result.stderr == ""


def test_a_prompt_may_come_from_standard_input(written: list):
    invoke("plays", "--prompt", "-", input="The café\nand\n".encode())
    refused = invoke("plays", "--prompt", "-", input=b"caf\xe9")

    assert [prompt for _, prompt, _ in written] == ["The café\nand"]
    assert refused.exit_code == 2
    assert refused.stderr == "E-TEXT-001 the prompt is not UTF-8 (at byte 3).\nFix: convert it to UTF-8.\n"


def test_a_text_as_json(written: list):
    assert json.loads(invoke("plays", "--prompt", "The king", "--json").stdout) == {
        "model": "plays",
        "prompt": "The king",
        "text": " went on.",
        "seed": 77,
    }


@pytest.mark.parametrize(
    "option",
    [("--length", "0"), ("--temperature", "-1"), ("--top-k", "-1"), ("--top-p", "0"), ("--seed", "-1")],
)  # fmt: skip
def test_bounds_are_told_before_a_model_is_looked_for(option: tuple[str, str], written: list):
    result = invoke("plays", *option)

    assert result.exit_code == 2
    assert f"Invalid value for '{option[0]}'" in result.stderr
    assert written == []


def test_nothing_that_is_written_acts_on_a_terminal():
    shown = list(shown_pieces("a\x1b[31m", iter(["\n\tb", "\u202e"]), on_terminal=True))
    kept = list(shown_pieces("a\x1b[31m", iter(["\u202e"]), on_terminal=False))

    assert shown == ["a\\x1b[31m", "\n\tb", "\\u202e"]
    assert kept == ["a\x1b[31m", "\u202e"]
