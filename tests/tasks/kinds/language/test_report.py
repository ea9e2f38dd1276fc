"""The page of a language model says under which protocols it was scored, what it gained, and what it wrote."""

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.report_contents import ReportContents
from tasks.contract.summaries import MEMORY_FILE
from tasks.kinds.language import report
from tasks.kinds.language.baseline import BASELINES, LanguageBaselineSettings
from tasks.kinds.language.evaluate import LanguageEvaluationSettings, write_evaluation
from tasks.kinds.language.metrics import measure_advantage
from tasks.kinds.language.samples import SAMPLE_CHARS, SAMPLES_SHOWN, choose_epochs, read_samples
from tasks.kinds.language.token_losses import SCORED_SPLITS, TokenLosses, open_split, write_losses
from tasks.report import write_report
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.text.vocabulary import Vocabulary
from tests.tasks.kinds.language.conftest import ids_of

ALPHABET = " abcdefghijklmnopqrstuvwxyz<>\u202e"
VOCABULARY = Vocabulary("char", False, tuple(ALPHABET))
SETTINGS = LanguageEvaluationSettings(resamples=100)
HOSTILE = "<script>\u202e"


def write_artefact(stage: str, write, **summary: object) -> Artefact:
    def fill(folder: Path) -> Summary:
        write(folder)
        return Summary.model_validate({"rows": 1, **summary})

    return artefacts.build(stage, fill, module="tasks.store.artefacts", config={"summary": summary})


def babble(num_tokens: int, seed: int) -> list[int]:
    generator = np.random.default_rng(seed)
    words = ["the ", "cat ", "sat ", "on ", "a ", "mat ", "and ", "ran "]
    return ids_of("".join(generator.choice(words, num_tokens // 3))[:num_tokens], ALPHABET)


def make_lineage(shards: Artefact, *, test_is_valid: bool = False) -> Lineage:
    told = shards.summary
    divided = {
        "splits": dict.fromkeys(("train", "valid", "test"), 1),
        "divided": "position",
        "num_chars": told["num_chars"],
    }
    encoded = {
        "tokenizer": "char", "vocabulary_size": VOCABULARY.size, "num_tokens": told["num_targets"],
        "num_chars": told["num_chars"], "oov_share": {"train": 0.0, "valid": 0.0, "test": 0.01},
    }  # fmt: skip
    return Lineage(
        rows=write_artefact("ingest", lambda _: None),
        splits=write_artefact(
            "split", lambda _: None, **divided, test_is_valid=test_is_valid, dropped={"near duplicate": 3}
        ),
        encoded=write_artefact("encode", lambda folder: VOCABULARY.save(folder / "vocabulary.json"), **encoded),
        shards=shards,
    )


def make_candidate(shards: Artefact, ngram: Artefact, gain: float) -> Artefact:
    """A network to which each token costs less than to the n-grams by as much."""

    def write(folder: Path) -> None:
        import polars as pl

        losses = {}
        for split in SCORED_SPLITS:
            stream = open_split(shards, split)
            mean = pl.read_parquet(ngram.file("scores.parquet")).filter(split=split)
            each = np.full(stream.num_rows, mean["nats"].sum() / mean["num_tokens"].sum() - gain)
            losses[split] = TokenLosses(documents=stream.documents, nats=each, cold_nats=each + 0.02)
        write_losses(folder, losses)
        history = [
            {
                "epoch": epoch,
                "train_loss": 3 / epoch,
                "valid_loss": 3.1 / epoch,
                "sample": ids_of(HOSTILE + "cat " * epoch, ALPHABET),
            }
            for epoch in (1, 2, 3)
        ]
        (folder / "history.json").write_text(json.dumps(history))
        (folder / MEMORY_FILE).write_text("{}")

    fitted = {
        "clipped_share": 0.1,
        "best_epoch": 2,
        "num_parameters": 1000,
        "device": "cpu",
        "epochs": 3,
        "updates_per_epoch": 10,
    }
    return write_artefact("fit", write, name="lstm", train_s=1, settled={}, rows_per_s=1e4, **fitted)


def evaluate(lineage: Lineage, model: Artefact) -> Scored:
    evaluation = artefacts.build(
        "evaluate",
        lambda folder: write_evaluation(
            folder, model=model, shards=lineage.shards, encoded=lineage.encoded, settings=SETTINGS
        ),
        module="tasks.store.artefacts",
        config=SETTINGS,
        inputs={"model": model},
    )
    return Scored(model=model, evaluation=evaluation)


def make_contest(lineage: Lineage, gain: float = 0.05) -> Contest:
    fitted = []
    for name, write in BASELINES.items():
        fitted += [
            artefacts.build(
                "baseline",
                lambda folder, write=write: write(folder, shards=lineage.shards, settings=LanguageBaselineSettings()),
                module="tasks.store.artefacts",
                config={"name": name},
            )
        ]
    candidate = make_candidate(lineage.shards, fitted[1], gain)
    baselines = tuple(evaluate(lineage, one) for one in fitted)
    return Contest(candidates=(evaluate(lineage, candidate),), baselines=baselines, settings=SETTINGS)


def make_contents(lineage: Lineage, contest: Contest) -> ReportContents:
    registration = {
        "name": "cats", "version": "3", "mlflow_run": "0123456789abcdef", "model_uri": "models:/cats/3",
        "best": contest.best.name, "baseline_wins": contest.baseline_wins,
        "certificate": {"deviations": {"batch_mates": 2.5e-7}, "tolerance": 1e-5, "passed": True, "num_sequences": 40},
        "smoke": {"rows": 1, "deviations": {"nats": 0.0}},
    }  # fmt: skip
    return ReportContents(
        recipe_name="cats",
        lineage=lineage,
        contest=contest,
        registered=write_artefact(
            "register",
            lambda folder: (folder / "registration.json").write_text(json.dumps(registration)),
            **registration,
        ),
        gated=write_artefact(
            "gate", lambda _: None, alias="champion", verdict="first", reasons=["first: no champion."]
        ),
    )


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)))


@pytest.fixture
def lineage(make_shards) -> Lineage:
    splits = {"train": [babble(4000, 1)], "valid": [babble(3000, 2)], "test": [babble(3000, 3)]}
    return make_lineage(make_shards(splits, size=VOCABULARY.size))


def test_the_page_states_both_protocols_the_gain_and_what_was_written(lineage, project):
    contest = make_contest(lineage)

    summary = write_report(project, make_contents(lineage, contest), report)

    html = (project / "report.html").read_text()
    text, test = text_of(html), contest.best.test
    gain = measure_advantage(contest.best.model, contest.baseline.model, "nats_per_char", SETTINGS.bootstrap).gain
    assert f"On 3,000 test characters it needs {test['nats_per_char']['value']:.4f} nats per character" in text
    assert f"{test['cold_nats_per_char']['value']:.4f} nats in cold windows" in text
    assert f"the gain of lstm over ngram is {gain['value']:.4f} nats per character" in text
    assert "each document is read from its beginning, and the state is carried through it" in text
    assert "windows of 256 tokens that follow each other, each read from an empty state" in text
    assert "Unknown tokens cost what spelling them costs" in text
    assert "the test text was scored once per model and decided nothing" in text
    assert "Epoch 2 (kept), validation loss 1.550" in text
    assert "&lt;script&gt;\\u202ecat cat" in html
    assert "near duplicate 3 documents" in text
    assert "stateful" in text
    assert {path.stem for path in project.glob("*.png")} == {"losses", "comparison", "positions", "slices"}
    assert summary.outdone == []


def test_a_run_without_test_text_of_its_own_says_whose_figures_are_shown(make_shards, project):
    splits = {"train": [babble(900, 1)], "valid": [babble(600, 2)], "test": [babble(600, 2)]}
    lineage = make_lineage(make_shards(splits, size=VOCABULARY.size), test_is_valid=True)

    write_report(project, make_contents(lineage, make_contest(lineage, gain=-0.2)), report)

    text = text_of((project / "report.html").read_text())
    assert "there is no test text of its own: the metrics under Test are those of validation" in text
    assert "A baseline wins." in text
    assert re.search(r"the gain of lstm over ngram is \N{MINUS SIGN}0\.\d{4} nats per character", text)


def test_samples_are_those_of_early_epochs_the_best_and_the_last():
    written = [{"epoch": epoch} for epoch in range(1, 31)]

    assert [one["epoch"] for one in choose_epochs(written, best_epoch=27)] == [1, 2, 4, 8, 27, 30]
    assert choose_epochs(written[:SAMPLES_SHOWN], best_epoch=1) == written[:SAMPLES_SHOWN]


def test_a_long_sample_is_shown_to_its_beginning(project):
    history = [{"epoch": 1, "valid_loss": 1.0, "sample": ids_of("cat " * 500, ALPHABET)}, {"epoch": 2, "valid_loss": 1}]
    model = write_artefact("fit", lambda folder: (folder / "history.json").write_text(json.dumps(history)))

    (sample,) = read_samples(model, VOCABULARY, best_epoch=2)

    assert sample["text"] == ("cat " * 500)[:SAMPLE_CHARS] + "…"
    assert not sample["is_best"]
