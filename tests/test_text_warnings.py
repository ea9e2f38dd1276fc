"""What a run says of texts that models learn little from: it names what is wrong and a setting that helps."""

import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tasks.contract.contest import Contest, Scored
from tasks.errors import RnnflowError
from tasks.evaluate import evaluate
from tasks.fit import fit
from tasks.kinds import find_kind
from tasks.reporting.findings import gather_findings
from tests.test_defaults import NAMED_SETTING, prepare, recipe_for, sequences

pytestmark = pytest.mark.costly

DRAW = random.Random(4)


def labelled(draw_text: Callable[[str], str], rows: dict[str, int]) -> pl.DataFrame:
    pairs = [(draw_text(label), label) for label, number in rows.items() for _ in range(number)]
    DRAW.shuffle(pairs)
    return pl.DataFrame(pairs, schema=["text", "label"], orient="row")


def chinese(label: str) -> str:
    return "".join(chr(0x4E00 + DRAW.randrange(300)) for _ in range(12)) + {"good": "好的", "bad": "坏了"}[label]


def templated(label: str, *, templates: int) -> str:
    template = random.Random(f"{label} {DRAW.randrange(templates)}")
    words = [f"w{template.randrange(10**6)}" for _ in range(30)]
    return " ".join([*words, f"id {DRAW.randrange(10**8)}"])


def wordy(label: str, *, words: int = 12, telling: int = 4) -> str:
    cells = [f"w{DRAW.randrange(300)}" for _ in range(words - 1)]
    cells.insert(DRAW.randrange(words), f"{label}{DRAW.randrange(telling)}")
    return " ".join(cells)


def listen(table: pl.DataFrame, folder: Path, remedies: list[str], kind: str = "classify") -> tuple[str, float]:
    """All that a run with one candidate says, and its test accuracy; of a refusal its problem and remedy."""
    settings = ["candidates=gru", *remedies, "training.epochs=3"]
    recipe, kind_of = recipe_for(kind, table, form="csv", folder=folder, remedies=settings), find_kind(kind)
    try:
        lineage = prepare(recipe)
    except RnnflowError as error:
        return str(error), 0.0
    model = fit.fn(kind_of, lineage.shards, recipe.candidates[0])
    scored = Scored(model=model, evaluation=evaluate.fn(kind_of, model, lineage, recipe.evaluate))
    findings = gather_findings(lineage, Contest(candidates=(scored,), baselines=(), settings=recipe.evaluate))
    return "\n".join([*findings.problems, *findings.warnings]), scored.test["accuracy"]["value"]


CASES = {
    "clauses without spaces": (
        labelled(chinese, {"good": 150, "bad": 150}),
        [],
        "no token occurs 2 times",
        ['encode.tokenizer="char"'],
    ),
    "clauses without spaces, all of them kept": (
        labelled(chinese, {"good": 150, "bad": 150}),
        ["encode.min_count=1"],
        "100% of the words of the validation rows are unknown",
        ['encode.tokenizer="char"'],
    ),
    "words that are known but left out": (
        labelled(wordy, {"good": 100, "bad": 100}),
        ["encode.min_count=12"],
        "of the words of the validation rows are unknown",
        ["encode.min_count=1"],
    ),
    "a count that no word reaches": (
        labelled(wordy, {"good": 100, "bad": 100}),
        ["encode.min_count=90"],
        "no token occurs 90 times",
        ["encode.min_count=2"],
    ),
    "lines of one template": (
        labelled(lambda label: templated(label, templates=1), {"good": 100, "bad": 100}),
        [],
        "has 100 distinct texts, which are so similar that they form only 1 group, expected at least 3",
        ["split.near_duplicates=false"],
    ),
    "lines of five templates": (
        labelled(lambda label: templated(label, templates=5), {"good": 100, "bad": 100}),
        [],
        "the 200 texts form only 10 groups of nearly equal ones (6 train, 2 valid, 2 test)",
        ["split.near_duplicates=false"],
    ),
    "long texts": (
        labelled(lambda label: wordy(label, words=60), {"good": 200, "bad": 200}),
        ["shard.max_length=20"],
        "most training rows (320) are longer than 20 steps and are cut",
        ["shard.max_length=60"],
    ),
    "all rows in one batch": (
        labelled(lambda label: wordy(label, words=20, telling=40), {"good": 300, "bad": 300}),
        ["training.batch_tokens=14000"],
        "an epoch has only 1 update, because batches of 14,000 hold many of the 480 training rows",
        ['training.batch_tokens="auto"'],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_setting_that_is_named_helps(name: str, tmp_path: Path):
    table, settings, problem, remedies = CASES[name]

    said, accuracy = listen(table, tmp_path, settings)
    assert problem in said
    named = {f"{key}={value}" for key, value in NAMED_SETTING.findall(said)}
    assert set(remedies) <= named

    said_after, accuracy_after = listen(table, tmp_path, [*settings, *remedies])
    assert problem not in said_after
    assert accuracy_after >= accuracy
    assert accuracy_after > 0.75


def test_labels_with_a_handful_of_rows_are_named_until_they_share_a_name(tmp_path: Path):
    table = labelled(wordy, {"good": 60, "bad": 60, "poor": 4, "awful": 4})

    said, _ = listen(table, tmp_path, [])
    assert '2 of 4 labels have fewer than 10 training rows, such as "awful" with 2' in said
    assert "one name in source.labels" in said

    merged = 'source.labels={good="good", bad="bad", poor="bad", awful="bad"}'
    assert "fewer than 10 training rows" not in listen(table, tmp_path, [merged])[0]


def test_texts_that_do_not_tell_their_labels_lead_to_the_columns(tmp_path: Path):
    table = labelled(lambda _label: f"code {DRAW.randrange(100)}", {"good": 100, "bad": 100})

    said, _ = listen(table.vstack(labelled(wordy, {"good": 50, "bad": 50})), tmp_path, [])
    assert "same text, other label" in said
    assert "what is read does not tell the label: check which columns the source names" in said


def test_sequences_in_one_batch_are_warned_of_like_texts(tmp_path: Path):
    table = sequences(60, longest=4, channels=2)

    said, _ = listen(table, tmp_path, ["training.batch_steps=1000"], kind="classify-series")
    assert "an epoch has only" in said
    assert "an epoch has only" not in listen(table, tmp_path, [], kind="classify-series")[0]
