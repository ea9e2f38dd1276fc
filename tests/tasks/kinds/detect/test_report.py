"""The page of a detector tells what was found, by which protocol, and what the network is worth."""

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import polars as pl
import pytest

from tasks.baseline import fit_baselines
from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.report_contents import ReportContents
from tasks.evaluate import evaluate
from tasks.fit import fit
from tasks.kinds.detect.baseline import DetectionBaselineSettings
from tasks.kinds.detect.evaluate import DetectionEvaluationSettings
from tasks.kinds.detect.plots import take_pictures
from tasks.kinds.detect.recipe import DETECT
from tasks.kinds.detect.report import (
    PRESENTATION,
    compare_by,
    compare_with_baseline,
    count_met,
    gather_details,
    measure_worth,
)
from tasks.publish import results_table
from tasks.report import gather_facts, render_page, report
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tests.tasks.kinds.detect.conftest import CANDIDATE, SPIKE, WARM_UP, draw_panel, prepare, source_of

HOSTILE = "<script>alert(1)</script> & \u202e$x^$"
SETTINGS = DetectionEvaluationSettings(resamples=100, buffer_rows=4)


def contest_of(lineage: Lineage, model: Artefact, settings: DetectionEvaluationSettings = SETTINGS) -> Contest:
    baselines = fit_baselines.fn(DETECT, lineage, DetectionBaselineSettings(window_rows=12)).fitted
    candidates, others = (
        tuple(Scored(model=one, evaluation=evaluate.fn(DETECT, one, lineage, settings)) for one in models)
        for models in ([model], baselines)
    )
    return Contest(candidates=candidates, baselines=others, settings=settings)


def write_artefact(stage: str, summary: dict, files: dict[str, dict]) -> Artefact:
    def write(folder: Path) -> dict:
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content))
        return Summary.model_validate({"rows": 1, **summary})

    return artefacts.build(stage, write, module="tasks.store.artefacts", config={})


def contents_of(lineage: Lineage, contest: Contest) -> ReportContents:
    registration = {
        "name": "panel", "version": "3", "mlflow_run": "0123456789abcdef", "model_uri": "models:/panel/3",
        "best": contest.best.name, "baseline_wins": contest.baseline_wins,
        "certificate": {"deviations": {"batch_size": 2.5e-7}, "tolerance": 1e-5, "passed": True, "num_sequences": 40},
        "smoke": {"rows": 1, "tolerance": 1e-4, "deviations": {"surprise": 0.0}},
    }  # fmt: skip
    return ReportContents(
        recipe_name="panel",
        lineage=lineage,
        contest=contest,
        registered=write_artefact("register", registration, {"registration.json": registration}),
        gated=write_artefact("gate", {"alias": "champion", "verdict": "first", "reasons": ["first: no champion."]}, {}),
    )


def text_of(page: Artefact) -> str:
    html = page.file("report.html").read_text()
    return re.sub(r"\s+", " ", unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.S)))


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory, fitted) -> tuple[Lineage, Contest]:
    """A fitted detector of labelled series beside the baselines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(tmp_path_factory.mktemp("panel")))
        return fitted[0], contest_of(*fitted)


@pytest.fixture
def contest_on(project: Path) -> Callable[[pl.DataFrame], tuple[Lineage, Contest]]:
    """Fit and evaluate everything on a table."""

    def run(table: pl.DataFrame) -> tuple[Lineage, Contest]:
        lineage = prepare(source_of(project / "rows.csv", table))
        return lineage, contest_of(lineage, fit.fn(DETECT, lineage.shards, CANDIDATE))

    return run


def test_the_page_says_what_was_found_and_how(panel):
    page = report.fn(DETECT, contents_of(*panel))
    text = text_of(page)

    assert "gru is the best of 1 candidate by validation MAE. It judged 200 rows of 2 series" in text
    assert "Of 2 labelled anomalies 2 were found" in text
    assert "That threshold needs no labels" in text
    assert "Labels were used for these metrics only." in text
    assert "overlap with one of them" in text
    assert text.count("AUC-PR") > text.count("VUS-PR") == 3
    pictures = {"calibration.png", "losses.png", "series-1.png", "series-2.png"}
    assert pictures < set(page.manifest["files"])


def test_a_page_without_labels_claims_nothing_about_anomalies(contest_on):
    table = draw_panel((1,)).drop("anomaly").with_columns(id=pl.lit(HOSTILE))

    page = report.fn(DETECT, contents_of(*contest_on(table)))

    text, html = text_of(page), page.file("report.html").read_text()
    assert "No test row has a label, so nothing here says whether an event is an anomaly" in text
    for absent in ("AUC-PR", "NAB", "undefined", "windows found", "labelled anomalies green"):
        assert absent not in text, absent
    assert "<script" not in html
    assert "\u202e" not in html


def test_many_series_are_folded_away(panel):
    facts = gather_facts(contents_of(*panel), DETECT.report.load()) | {"pictures": []}
    facts["best"]["by_series"] *= 11
    images = dict.fromkeys(("losses", "calibration"), "data:,")

    assert "<summary>The 22 series</summary>" in render_page(PRESENTATION.template, facts, images)


def test_six_series_are_drawn_the_anomalous_ones_first(take_through):
    late = pl.col("id").is_in(["s2", "s5"]).cast(int) * pl.col("anomaly")
    lineage = take_through(draw_panel(range(8)).with_columns(anomaly=late))
    level, *_ = contest_of(
        lineage, *fit_baselines.fn(DETECT, lineage, DetectionBaselineSettings()).fitted[:1]
    ).candidates
    records = json.loads(level.evaluation.file("metrics.json").read_bytes())["by_series"]

    pictures = take_pictures(lineage, level, records)

    assert len(pictures) == 6
    assert {picture.title for picture in pictures[:2]} == {"s2", "s5"}
    assert [len(picture.watched.windows) for picture in pictures] == [1, 1, 0, 0, 0, 0]
    peaks = [picture.watched.surprise[WARM_UP:].max() for picture in pictures[2:]]
    assert peaks == sorted(peaks, reverse=True)


def test_the_network_is_worth_what_the_level_alone_lacks(panel):
    _, contest = panel
    level = next(one for one in contest.baselines if one.name == "level")

    worth = measure_worth(contest)

    gains = {one["column"].metric: one for one in worth["gains"]}
    assert list(gains) == ["mae", "auc_pr", "vus_pr", "nab"]
    for metric, sign in (("mae", -1), ("nab", 1)):
        ours, theirs = (one.evaluation.summary["metrics"]["test"][metric]["value"] for one in (contest.best, level))
        assert gains[metric]["gain"]["value"] == pytest.approx(sign * (ours - theirs))
    assert worth["shared"] <= worth["events"]


def test_events_meet_where_they_overlap_in_a_series():
    def events(*rows: tuple[str, int, int]) -> pl.DataFrame:
        return pl.DataFrame(rows, schema=["series", "first", "last"], orient="row")

    ours = events(("a", 10, 20), ("a", 30, 40), ("b", 10, 20))

    assert count_met(ours, events(("a", 5, 10), ("a", 20, 25), ("a", 41, 50))) == 1
    assert count_met(ours, events(("a", 0, 99))) == 2
    assert count_met(ours, events()[:0].cast({"first": pl.Int64, "last": pl.Int64, "series": pl.String})) == 0


def test_models_are_compared_by_the_metric_that_decides(panel):
    _, contest = panel

    assert compare_by(contest) == "mae"
    gain = compare_with_baseline(contest, contest.baseline)
    ours, theirs = (
        one.evaluation.summary["metrics"]["test"]["mae"]["value"] for one in (contest.best, contest.baseline)
    )
    assert gain["value"] == pytest.approx(theirs - ours)


@pytest.mark.parametrize(("labelled", "metric"), [([50, SPIKE], "auc_pr"), ([50, 52], "mae")])
def test_labels_that_choose_compare_too_where_test_has_any(take_through, labelled: list[int], metric: str):
    row = pl.int_range(pl.len()).over("id")
    lineage = take_through(draw_panel().with_columns(anomaly=row.is_in(labelled).cast(int)))
    level, average, _ = fit_baselines.fn(DETECT, lineage, DetectionBaselineSettings()).fitted
    settings = SETTINGS.model_copy(update={"select_by": "auc_pr"})
    scored = [Scored(model=one, evaluation=evaluate.fn(DETECT, one, lineage, settings)) for one in (level, average)]
    contest = Contest(candidates=(scored[1],), baselines=(scored[0],), settings=settings)
    ours, theirs = (one.evaluation.summary["metrics"]["test"][metric]["value"] for one in scored[::-1])

    assert compare_by(contest) == metric
    gain = compare_with_baseline(contest, contest.baseline)
    assert gain["value"] == pytest.approx((ours - theirs) * (1 if metric == "auc_pr" else -1))


def test_pictures_are_of_the_channel_that_told(fitted_channels, project: Path):
    lineage, model = fitted_channels

    (picture,) = gather_details(contents_of(lineage, contest_of(lineage, model)))["pictures"]

    assert picture.title == "s3: value_1"
    assert picture.watched.surprise.argmax() == SPIKE
    assert picture.values.argmax() == SPIKE
    assert picture.name_row(0) == "2026-03-01 00:00"
    assert picture.name_row(3) == "2026-03-01 01:30"


def test_short_tables_show_a_dash_where_a_metric_is_undefined(panel):
    first = results_table(panel[1], DETECT.report.load().PRESENTATION)[0]

    assert [column.title for column in PRESENTATION.headline] == ["MAE", "events, ‰", "AUC-PR"]
    assert first["valid AUC-PR"] == "-"
    assert re.fullmatch(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", first["test AUC-PR"])
