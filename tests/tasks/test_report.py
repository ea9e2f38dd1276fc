import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.contract.contest import Contest
from tasks.contract.lineage import Lineage
from tasks.contract.report_contents import ReportContents
from tasks.contract.stacking import StackSettings
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.labelled.report import PRESENTATION, compare_with_baseline
from tasks.report import gather_facts, render_page, report, spell_out
from tasks.stack import stack
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tests.tasks.conftest import score

HOSTILE = "<script>alert(1)</script> & \u202egnp.exe\x1b[31m\x00"
SPELLED_OUT = "&lt;script&gt;alert(1)&lt;/script&gt; &amp; \\u202egnp.exe\\x1b[31m\\x00"


def write_artefact(stage: str, summary: dict, files: dict[str, bytes] | None = None) -> Artefact:
    def write(folder: Path) -> dict:
        for name, data in (files or {}).items():
            (folder / name).write_bytes(data)
        return Summary.model_validate({"rows": 240, **summary})

    return artefacts.build(stage, write, module="tasks.store.artefacts", config={"hostile": HOSTILE})


def write_registration(best: str, *, baseline_wins: bool) -> Artefact:
    registration = {
        "name": "reviews",
        "version": "3",
        "content": "",
        "mlflow_run": "0123456789abcdef",
        "mlflow_page": "",
        "artifact_uri": "",
        "model_uri": "models:/reviews/3",
        "best": best,
        "baseline_wins": baseline_wins,
        "certificate": {"deviations": {"batch_size": 2.5e-7}, "tolerance": 1e-5, "passed": True, "num_sequences": 40},
        "smoke": {"rows": 1, "bitwise": True, "deviations": {"logits": 0.0}},
    }
    files = {"registration.json": json.dumps(registration).encode()}
    return write_artefact("register", {**registration, "rows": 1}, files)


def with_hostile_mistake(evaluation: Artefact, folder: Path) -> Artefact:
    """The same evaluation, with a mistake that tries to run a script."""
    mistake = {"row": [7], "text": [HOSTILE], "label": ["neg"], "predicted": ["pos"], "confidence": [0.987]}
    pl.DataFrame(mistake).write_parquet(folder / "mistakes.parquet")
    files = {name: evaluation.file(name).read_bytes() for name in evaluation.manifest["files"]}
    files["mistakes.parquet"] = (folder / "mistakes.parquet").read_bytes()

    def write(target: Path) -> dict:
        for name, data in files.items():
            (target / name).write_bytes(data)
        return Summary.of(evaluation)

    return artefacts.build("evaluate", write, module="tasks.store.artefacts", config=evaluation.manifest["config"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project folder that this module's tests share."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("RNNFLOW_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def contents(home: Path, reviews: tuple[Lineage, Contest]) -> ReportContents:
    """Fitted and evaluated by the real stages; rows, splits and registration are made up, names are hostile."""
    lineage, contest = reviews
    mistaken = with_hostile_mistake(contest.best.evaluation, home)
    rows = {"labels": {"neg": 120, HOSTILE: 120}, "splits": {}, "skipped": 2, "warnings": [f"warned: {HOSTILE}"]}
    rows["problems"] = ["Nothing was learned: set encode.tokenizer."]
    splits = {**lineage.splits.summary, "dropped": {"near duplicate": 17}, "warnings": [f"warned: {HOSTILE}"]}
    return ReportContents(
        recipe_name="reviews",
        lineage=dataclasses.replace(
            lineage, rows=write_artefact("ingest", rows), splits=write_artefact("split", splits)
        ),
        contest=dataclasses.replace(
            contest,
            candidates=tuple(
                dataclasses.replace(one, evaluation=mistaken) if one.name == contest.best.name else one
                for one in contest.candidates
            ),
        ),
        registered=write_registration(contest.best.name, baseline_wins=contest.baseline_wins),
        gated=write_artefact("gate", {"alias": "champion", "verdict": "first", "reasons": ["First model."]}),
    )


def test_the_page_tells_of_what_the_best_model_is_joined(contents: ReportContents, reviews: tuple[Lineage, Contest]):
    joined = stack.fn(CLASSIFY, contents.contest, StackSettings()).fitted
    contest = contents.contest.admit([score(one, reviews[0]) for one in joined], ())
    assert contest.best.name == "stacked"
    registered = write_registration("stacked", baseline_wins=False)
    page = report.fn(CLASSIFY, dataclasses.replace(contents, contest=contest, registered=registered))

    shown, parts = page.file("report.html").read_text(encoding="utf-8"), joined[0].summary
    sentence = f"It adds {parts['weight']:g} times the calibrated logits of {parts['joined_with']} to those of"
    assert f"{sentence} {parts['joins']}." in shown
    assert f"{parts['joins']}, and {parts['weight']:g} times {parts['joined_with']}</td>" in shown
    assert "the baselines' penalties, the weight of the join and the best model (bold)" in shown


@pytest.fixture(scope="module")
def built(contents: ReportContents) -> Artefact:
    return report.fn(CLASSIFY, contents)


@pytest.fixture(scope="module")
def page(built: Artefact) -> str:
    return built.file("report.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parse(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(page)
    assert not parser.open
    return parser.tags


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def test_the_page_stands_alone_with_its_figures_inlined(page: str, built: Artefact) -> None:
    tags = parse(page)
    sources = [attributes["src"] for tag, attributes in tags if tag == "img"]
    assert len(sources) == 7
    assert all(re.fullmatch(r"data:image/png;base64,[A-Za-z0-9+/=]{4000,}", source) for source in sources)
    assert not any(tag in ("script", "link", "iframe") or "href" in attributes for tag, attributes in tags)
    assert [attributes["alt"] for tag, attributes in tags if tag == "img" and len(attributes["alt"]) < 20] == []
    pngs = sorted(path.name for path in built.path.glob("*.png"))
    names = ("calibration", "comparison", "confusion", "lengths", "losses", "memory", "slices")
    assert pngs == [f"{name}.png" for name in names]


def test_texts_and_names_cannot_inject_markup_or_control_characters(page: str) -> None:
    assert "<script" not in page
    assert not set(page) & {"\u202e", "\x1b", "\x00"}
    # The label, the warning and the mistake; the setting is JSON, which spells out controls itself.
    assert page.count(SPELLED_OUT) == 3
    assert "alert(1)&lt;/script&gt; &amp; \\u202egnp.exe\\u001b[31m\\u0000" in page


def test_the_results_are_those_of_the_artefacts(page: str, contents: ReportContents) -> None:
    text = text_of(page)
    for scored in contents.contest.everyone:
        for split in ("valid", "test"):
            metrics = scored.evaluation.summary["metrics"][split]
            accuracy, loss = metrics["accuracy"], metrics["loss"]
            assert f"{accuracy['value']:.2%} {accuracy['low']:.2%} to {accuracy['high']:.2%}" in text
            assert f"{loss['value']:.4f} {loss['low']:.4f} to {loss['high']:.4f}" in text
        assert scored.model.key in page
        assert scored.name in page


def test_the_page_tells_how_far_back_each_candidate_remembers(page: str, contents: ReportContents) -> None:
    for one in contents.contest.candidates:
        fitted = one.model.summary
        assert f"{one.name} layer 1 {fitted['memory_horizon']['layer 1']} of {fitted['memory_span']}" in text_of(page)


def test_problems_stand_before_the_results(page: str) -> None:
    assert page.index("Nothing was learned: set encode.tokenizer.") < page.index('<p class="lead">')


def test_protocol_firewall_and_certificate_are_stated(page: str) -> None:
    text = text_of(page)
    assert "chosen on validation alone; the test rows were scored once per model and decided nothing" in text
    assert "95% intervals from 100 bootstrap resamples of the rows (seed 1)" in text
    assert "240 rows were read and 2 skipped" in text
    assert "near duplicate 17 rows" in text
    assert "The invariance certificate passed: on 40 validation rows" in text
    assert "changed its outputs by at most 2.5e-07, with 1e-05 allowed" in text
    assert "rows 1 bitwise yes deviations, logits 0 " in text
    assert "polars 2." in text


@pytest.mark.parametrize("baseline_wins", [True, False])
def test_the_page_says_whether_the_baseline_wins(contents: ReportContents, *, baseline_wins: bool) -> None:
    with artefacts.refreshing(True):
        registered = write_registration(contents.registered.summary["best"], baseline_wins=baseline_wins)
    facts = gather_facts(dataclasses.replace(contents, registered=registered), CLASSIFY.report.load())
    page = render_page(PRESENTATION.template, facts, defaultdict(str))
    assert ("A baseline wins." in page) is baseline_wins
    assert ("No baseline wins" in page) is not baseline_wins


def test_the_advantage_over_the_baseline_is_paired_by_row(contents: ReportContents) -> None:
    def right(model: Artefact) -> dict[int, bool]:
        test = pl.read_parquet(model.file("predictions.parquet")).filter(split="test")
        return {row: int(np.argmax(logits)) == target for _, row, target, logits in test.iter_rows()}

    best, baseline = right(contents.contest.best.model), right(contents.contest.baseline.model)
    advantage = compare_with_baseline(contents.contest, contents.contest.baseline)
    assert advantage["value"] == pytest.approx(np.mean([best[row] - baseline[row] for row in best]))
    assert advantage["low"] <= advantage["value"] <= advantage["high"]


def test_a_model_compared_with_itself_has_no_advantage(contents: ReportContents) -> None:
    contest = contents.contest
    advantage = compare_with_baseline(contest, contest.best)
    assert advantage == {"value": 0, "low": 0, "high": 0}


def test_the_page_says_that_no_baseline_could_be_fitted(contents: ReportContents) -> None:
    warning = {"name": "tfidf-logistic", "train_s": 0, "left_out": True, "warnings": ["tfidf-logistic was left out"]}
    contest = dataclasses.replace(contents.contest, baselines=(), left_out=(write_artefact("baseline", warning),))
    page = report.fn(CLASSIFY, dataclasses.replace(contents, contest=contest)).file("report.html").read_text()

    assert "There is no baseline to compare with: none could be fitted." in page
    assert "tfidf-logistic was left out" in page
    assert "differs from the baseline" not in page


def test_the_same_run_gives_the_same_bytes(contents: ReportContents, built: Artefact, project: Path) -> None:
    again = report.fn(CLASSIFY, contents)
    assert again.path.is_relative_to(project)
    assert not built.path.is_relative_to(project)
    assert (again.key, again.digest) == (built.key, built.digest)


def test_a_changed_key_or_time_makes_a_new_page(
    contents: ReportContents, built: Artefact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page shows them, though the digests of its inputs do not cover them."""
    monkeypatch.setattr(
        "tasks.report.write_report", lambda folder, contents, presenting: Summary.model_validate({"rows": 1})
    )
    source = {"another": "source"}
    rows = artefacts.build(
        "ingest", lambda folder: Summary.of(contents.lineage.rows), module="tasks.store.artefacts", config=source
    )
    lineage = dataclasses.replace(contents.lineage, rows=rows)
    assert rows.digest == contents.lineage.rows.digest
    assert report.fn(CLASSIFY, contents).key == built.key
    assert report.fn(CLASSIFY, dataclasses.replace(contents, lineage=lineage)).key != built.key


def test_lines_stay_lines_when_control_characters_are_spelled_out() -> None:
    assert spell_out("a\n\tb\r\u2028c") == "a\n\\tb\\r\\u2028c"
    assert spell_out(7) == 7
