"""The stage `publish`."""

from pathlib import Path

import pytest

from tasks.contract.contest import Contest
from tasks.contract.delivery import RegistrationSummary, VerdictSummary
from tasks.contract.lineage import Lineage
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.labelled.report import PRESENTATION
from tasks.publish import describe_registration, describe_verdict, memory_table, publish, results_table, summarize
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.tracking import recording

REGISTRATION = RegistrationSummary(
    rows=1,
    name="reviews",
    version="3",
    content="",
    best="gru-8",
    baseline_wins=False,
    certificate={},
    mlflow_run="run-1",
    mlflow_page="http://127.0.0.1:5000/#/experiments/1/runs/run-1",
    artifact_uri="",
)
FOUND = {
    "problems": ["2 of 3 tokens are unknown: set encode.tokenizer."],
    "outdone": ["The baseline x is better."],
    "warnings": ['"<b>" has 1 row'],
}
GATE = VerdictSummary(
    rows=1,
    verdict="kept",
    reasons=["kept: no better than the champion.", "p = 0.4."],
    challenger="3",
    alias="challenger",
)


def build_artefact(stage: str, files: dict[str, str], summary: dict | None = None) -> Artefact:
    def write(folder: Path) -> dict:
        for name, text in files.items():
            (folder / name).write_text(text)
        return Summary.model_validate({"rows": 1, **(summary or {})})

    return artefacts.build(stage, write, module="tasks.store.artefacts", config={"files": files})


@pytest.fixture
def page() -> Artefact:
    return build_artefact("report", {"report.html": "<p>", "losses.png": "png"}, FOUND)


@pytest.fixture
def registered() -> Artefact:
    return build_artefact("register", {}, REGISTRATION.as_json())


@pytest.fixture
def gated() -> Artefact:
    return build_artefact("gate", {}, GATE.as_json())


def test_the_page_and_its_figures_are_sent_to_the_run_once(
    page: Artefact,
    registered: Artefact,
    gated: Artefact,
    reviews: tuple[Lineage, Contest],
    monkeypatch: pytest.MonkeyPatch,
):
    sent = []
    monkeypatch.setattr(
        recording, "record_files", lambda run, files, folder: sent.append((run, [f.name for f in files]))
    )

    first = publish.fn(CLASSIFY, page, registered, gated, reviews[1])
    second = publish.fn(CLASSIFY, page, registered, gated, reviews[1])

    assert sent == [("run-1", ["losses.png", "report.html"])]
    assert (first.cached, second.cached) == (False, True)


def test_the_results_row_holds_estimates_with_intervals(reviews: tuple[Lineage, Contest]):
    scored = reviews[1].baselines[-1]
    accuracy = {name: 100 * value for name, value in scored.evaluation.summary["metrics"]["test"]["accuracy"].items()}

    row = results_table(reviews[1], PRESENTATION)[-1]

    assert list(row) == ["model", "valid accuracy, %", "valid loss", "test accuracy, %", "test loss"]
    assert row["model"] == "naive-bayes-logistic"
    assert row["test accuracy, %"] == f"{accuracy['value']:.1f} [{accuracy['low']:.1f}, {accuracy['high']:.1f}]"


def test_the_memory_of_candidates_is_a_table_of_their_cells(reviews: tuple[Lineage, Contest]):
    rows = memory_table(reviews[1])

    summaries = {one.name: one.model.summary for one in reviews[1].candidates}
    assert [row["model"] for row in rows] == ["gru-8", "lstm-8"]
    for row in rows:
        horizon, span = summaries[row["model"]]["memory_horizon"][row["cell"]], summaries[row["model"]]["memory_span"]
        assert row["effective horizon, steps"] == f"{horizon} of {span}"
        assert 0 <= float(row["clipped updates, %"]) <= 100


@pytest.mark.parametrize("baseline_wins", [True, False])
def test_it_says_what_was_registered_and_whether_the_baseline_is_better(baseline_wins: bool):
    sentence = describe_registration(
        REGISTRATION.model_copy(update={"baseline_wins": baseline_wins}), "challenger", "errs less."
    )

    assert sentence.startswith("**gru-8** was registered as `reviews` version 3, alias `challenger`.")
    assert ("A baseline errs less." in sentence) is baseline_wins


def test_the_summary_is_a_table_of_all_models_with_the_way_to_the_report(
    page: Artefact, reviews: tuple[Lineage, Contest]
):
    lines = summarize(
        results_table(reviews[1], PRESENTATION), PRESENTATION.beaten, REGISTRATION, GATE, page
    ).splitlines()

    assert [line.split(" | ")[0] for line in lines if line.startswith("|")] == [
        *("| model", "| ---", "| gru-8", "| lstm-8", "| tfidf-logistic", "| naive-bayes-logistic")
    ]
    assert f"`{page.path}/report.html`" in lines[-1]


def test_the_summary_begins_with_problems_and_lists_warnings_as_text(page: Artefact, reviews: tuple[Lineage, Contest]):
    lines = summarize(
        results_table(reviews[1], PRESENTATION), PRESENTATION.beaten, REGISTRATION, GATE, page
    ).splitlines()

    assert lines[0] == "**2 of 3 tokens are unknown: set encode.tokenizer.**"
    assert lines[2].endswith("alias `challenger`. The baseline x is better.")
    assert '- "\\<b\\>" has 1 row' in lines


def test_the_verdict_comes_with_its_reasons():
    assert describe_verdict(GATE) == "kept: no better than the champion.\n\np = 0.4."
