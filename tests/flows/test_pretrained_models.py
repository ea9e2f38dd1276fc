"""A registered language model becomes the start of a classifier, through both flows."""

import random
import shutil
from pathlib import Path

import polars as pl
import pytest

from flows.recipes.recipe import build_recipe
from flows.train import train
from flows.trigger import trigger_of
from tasks.contract.recipe import Recipe
from tasks.contract.summaries import FittedSummary
from tasks.errors import InputError
from tasks.promotion import ledger
from tasks.registry import registrations
from tasks.store import artefacts
from tests.flows.test_train import write_rows

LAYERS = {"cell": "gru", "hidden_size": 8, "embedding_size": 8}
LANGUAGE = {
    "name": "notes",
    "kind": "language",
    "source": {"path": "notes.csv"},
    "encode": {"tokenizer": "word", "lowercase": True},
    "evaluate": {"resamples": 100},
    "candidates": [
        {"name": "gru", "model": {**LAYERS, "tied": True}, "training": {"epochs": 1, "bptt": 16, "device": "cpu"}}
    ],
}
CLASSIFY = {
    "name": "small",
    "source": {"path": "rows.csv"},
    "registry": {"certificate_rows": 8},
    "evaluate": {"resamples": 100},
    "pretrain": {"models": ["notes"]},
    "candidates": [
        {
            "name": "gru",
            "pretrained": True,
            "ratio_columns": 2,
            "model": {**LAYERS, "embedding_size": 10},
            "training": {"epochs": 1, "device": "cpu"},
        }
    ],
}


def write_notes(path: Path) -> None:
    generator = random.Random(5)
    words = [f"{name}{number}" for name in ("neg", "pos", "word") for number in range(60)]
    pl.DataFrame({"text": [" ".join(generator.choices(words, k=14)) for _ in range(80)]}).write_csv(path)


def classifier(*settings: str) -> Recipe:
    return build_recipe(Path("small.toml"), CLASSIFY, settings=settings)


@pytest.fixture(scope="module")
def home(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a registered language model of texts of its own."""
    folder = tmp_path_factory.mktemp("notes")
    write_rows(folder / "rows.csv")
    write_notes(folder / "notes.csv")
    notes = pl.read_csv(folder / "notes.csv")
    notes.with_columns(label=pl.int_range(pl.len()) % 2).write_csv(folder / "notes-with-labels.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(folder))
        patch.chdir(folder)
        train(build_recipe(Path("notes.toml"), LANGUAGE))
    return folder


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNFLOW_HOME", str(home))
    monkeypatch.chdir(home)


def test_a_classifier_starts_from_it_and_says_so():
    outcome = train(classifier())

    [key] = [stage["key"] for stage in outcome.stages if stage["name"] == "fit gru"]
    start = FittedSummary.of(artefacts.open_artefact(f"fit/{key}")).start
    assert start.startswith("notes/1, which knows 179 of 180 tokens; no validation or test text was found")
    assert "notes/1, which knows 179 of 180 tokens" in Path(outcome.report).read_text()
    assert registrations.read_tags("small", "1")["rnnflow.start"] == start


def test_one_that_was_trained_on_the_rows_themselves_is_refused():
    with pytest.raises(InputError, match=r"E-TRN-005 .* was trained on \d+ validation or test texts"):
        train(classifier("source.path=notes-with-labels.csv", "name=leak"))


def test_a_misspelt_one_is_told_before_any_row_is_read(tmp_path: Path):
    with pytest.raises(InputError, match=r'E-REG-001 model "note@champion" [^?]*did you mean "notes"\?'):
        train(classifier('pretrain.models=["note"]', f"source.path={tmp_path / 'none.csv'}"))


def test_another_champion_is_news_for_its_classifiers(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RNNFLOW_HOME", str(shutil.copytree(home, tmp_path / "project")))
    numbered = classifier('pretrain.models=["notes/1"]')
    before, before_numbered = (trigger_of(recipe, "rows") for recipe in (classifier(), numbered))
    head = ledger.head("notes")
    entry = {"action": "promote", "champion": "2", "champion_content": "another", "reason": "r", "actor": "kim"}
    ledger.append(ledger.Draft(model="notes", **entry), expected=head.number)

    assert trigger_of(classifier(), "rows") != before
    assert trigger_of(numbered, "rows") == before_numbered
