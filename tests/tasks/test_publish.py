"""The stage `publish`."""

import json
from pathlib import Path

import pytest

from tasks import recording, store
from tasks.contest import Contest, Lineage
from tasks.publish import publish, results_row, summarize, verdict
from tasks.store import Artefact

REGISTRATION = {
    "name": "reviews",
    "version": "3",
    "alias": "challenger",
    "best": "gru-8",
    "baseline_wins": False,
    "mlflow_run": "run-1",
    "mlflow_page": "http://127.0.0.1:5000/#/experiments/1/runs/run-1",
}


def build_artefact(stage: str, files: dict[str, str]) -> Artefact:
    def write(folder: Path) -> dict:
        for name, text in files.items():
            (folder / name).write_text(text)
        return {"rows": 1}

    return store.build(stage, write, module="tasks.store", config={"files": files})


@pytest.fixture
def page() -> Artefact:
    return build_artefact("report", {"report.html": "<p>", "losses.png": "png"})


@pytest.fixture
def registered() -> Artefact:
    return build_artefact("register", {"registration.json": json.dumps(REGISTRATION)})


def test_the_page_and_its_figures_are_sent_to_the_run_once(
    page: Artefact, registered: Artefact, reviews: tuple[Lineage, Contest], monkeypatch: pytest.MonkeyPatch
):
    sent = []
    monkeypatch.setattr(
        recording, "record_files", lambda run, files, folder: sent.append((run, [f.name for f in files]))
    )

    first = publish.fn(page, registered, reviews[1])
    second = publish.fn(page, registered, reviews[1])

    assert sent == [("run-1", ["losses.png", "report.html"])]
    assert (first.cached, second.cached) == (False, True)


def test_the_results_row_holds_estimates_with_intervals(reviews: tuple[Lineage, Contest]):
    scored = reviews[1].baseline
    accuracy = scored.evaluation.summary["metrics"]["test"]["accuracy"]

    row = results_row(scored)

    assert row["model"] == "tfidf-logistic"
    assert row["test accuracy"] == f"{accuracy['value']:.4f} ({accuracy['low']:.4f} to {accuracy['high']:.4f})"


@pytest.mark.parametrize("baseline_wins", [True, False])
def test_the_verdict_says_what_was_registered_and_whether_the_baseline_is_better(baseline_wins: bool):
    sentence = verdict({**REGISTRATION, "baseline_wins": baseline_wins})

    assert sentence.startswith("**gru-8** was registered as `reviews` version 3, alias `challenger`.")
    assert ("The baseline scores better." in sentence) is baseline_wins


def test_the_summary_is_a_table_of_all_models_with_the_way_to_the_report(
    page: Artefact, reviews: tuple[Lineage, Contest]
):
    lines = summarize(reviews[1], REGISTRATION, page).splitlines()

    assert [line.split(" | ")[0] for line in lines if line.startswith("|")] == [
        *("| model", "| ---", "| gru-8", "| lstm-8", "| tfidf-logistic")
    ]
    assert f"`{page.path}/report.html`" in lines[-1]
