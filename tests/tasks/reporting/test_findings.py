"""What a run's artefacts have to say, gathered in one place for every kind."""

import dataclasses
import json

import pytest

from tasks.contract.contest import Contest, Scored
from tasks.contract.evaluation import EvaluationSettings
from tasks.contract.lineage import Lineage
from tasks.contract.presentation import ScoreColumn
from tasks.kinds import find_kind
from tasks.kinds.detect.evaluate import DetectionEvaluationSettings
from tasks.kinds.forecast.evaluate import ForecastEvaluationSettings
from tasks.labelled.evaluate import ClassificationSettings
from tasks.reporting.findings import Findings, describe_data, describe_outdone, gather_findings
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary


def artefact(stage: str, **summary: object) -> Artefact:
    return artefacts.build(
        stage, lambda folder: Summary.model_validate({"rows": 1, **summary}), module="tasks.errors", config=summary
    )


def lineage_of(**summaries: dict) -> Lineage:
    stages = {"rows": "ingest", "splits": "split", "encoded": "encode", "shards": "shard"}
    return Lineage(**{name: artefact(stage, **summaries.get(name, {})) for name, stage in stages.items()})


def scored(name: str, metrics: dict, *, of_fit: dict | None = None, of_evaluation: dict | None = None) -> Scored:
    intervals = {
        split: {metric: {"value": value, "low": value - 1, "high": value + 1} for metric, value in figures.items()}
        for split, figures in metrics.items()
    }
    evaluation = artefact("evaluate", name=name, metrics=intervals, **(of_evaluation or {}))
    return Scored(model=artefact("fit", name=name, **(of_fit or {})), evaluation=evaluation)


def losses(valid: float, test: float) -> dict:
    return {"valid": {"loss": valid}, "test": {"loss": test}}


def contest_of(*candidates: Scored, baselines: tuple[Scored, ...], settings: EvaluationSettings) -> Contest:
    return Contest(candidates=candidates, baselines=baselines, settings=settings)


def test_every_artefact_is_heard_once_and_in_the_order_of_the_run():
    lineage = lineage_of(
        rows={"warnings": ["2 rows were sorted"], "problems": ["one class: set source.label_column"]},
        splits={"warnings": ["2 rows were sorted", "3 rows dropped"]},
        shards={"warnings": ["short segments"]},
    )
    few, slow = {"warnings": ["few windows"]}, {"warnings": ["few windows", "still falling"]}
    learned_nothing = {"problems": ["no better than chance: raise training.epochs"]}
    contest = contest_of(
        scored("gru", losses(1.0, 1.0), of_evaluation=few, of_fit=learned_nothing),
        scored("rnn", losses(2.0, 2.0), of_evaluation=slow, of_fit={"problems": ["of no interest"]}),
        baselines=(scored("linear", losses(3.0, 3.0), of_fit={"warnings": ["did not converge"]}),),
        settings=ClassificationSettings(),
    )
    registered = artefact("register", warnings=["one label is unknown"])

    assert gather_findings(lineage, contest, registered) == Findings(
        problems=["one class: set source.label_column", "no better than chance: raise training.epochs"],
        warnings=[
            *("2 rows were sorted", "3 rows dropped", "short segments", "few windows"),
            *("rnn: still falling", "linear: did not converge", "one label is unknown"),
        ],
        data={"ingest": {"rows": 1}, "split": {"rows": 1}, "encode": {"rows": 1}, "shard": {"rows": 1}},
    )


def test_what_was_done_to_the_data_is_counted_by_stage_and_said_in_a_line():
    lineage = lineage_of(
        rows={"rows": 1900, "skipped": 0, "filtered": {"country": 1234}, "skipped_examples": ["x"], "zone": None},
        splits={"splits": {"train": 1500, "test": 400}, "labelled": True, "channels": ["load"]},
        shards={"left_out": {"train": {"segments": 2, "rows": 7}}},
    )

    data = gather_findings(lineage, plain_contest()).data

    assert data == {
        "ingest": {"rows": 1900, "skipped": 0, "filtered": {"country": 1234}},
        "split": {"rows": 1, "splits": {"train": 1500, "test": 400}},
        "encode": {"rows": 1},
        "shard": {"rows": 1, "left_out": {"train": {"segments": 2, "rows": 7}}},
    }
    data["split"]["splits"] = {"test": 400, "train": 1500}
    assert describe_data(data) == "1,900 rows used; 1,234 others left out by where.country; 1,500 train, 400 test"
    assert json.loads(json.dumps(data)) == data


def test_the_data_of_sequences_are_told_in_steps_and_sequences():
    data = {"ingest": {"rows": 200, "steps": 2807}, "split": {"splits": {"test": 20, "train": 160, "valid": 20}}}

    assert describe_data(data) == "2,807 steps of 200 sequences used; 160 train, 20 valid, 20 test"


def plain_contest() -> Contest:
    one, other = scored("gru", losses(1.0, 1.0)), scored("linear", losses(2.0, 2.0))
    return contest_of(one, baselines=(other,), settings=ClassificationSettings())


# The kind, figures of the candidate that wins on validation, those of a baseline, and what is said of the two.
OUTDONE = {
    "classify": (
        ClassificationSettings(),
        {"accuracy": 0.881, "loss": 0.3},
        {"accuracy": 0.907, "loss": 0.31},
        "The baseline naive classifies better on test than gru: accuracy 90.7 % against 88.1 %.",
    ),
    "classify-series": (
        ClassificationSettings(),
        {"accuracy": 0.881, "loss": 0.3},
        {"accuracy": 0.881, "loss": 0.29999},
        "The baseline naive classifies better on test than gru: loss 0.29999 against 0.3.",
    ),
    "forecast": (
        ForecastEvaluationSettings(),
        {"mse": 0.5, "mae": 0.4},
        {"mse": 0.4, "mae": 0.35},
        "The baseline naive forecasts better on test than gru: MSE 0.4000 against 0.5000, MAE 0.3500 against 0.4000.",
    ),
    "detect": (
        DetectionEvaluationSettings(),
        {"mae": 0.841, "events_per_1000": 5.0, "auc_pr": 0.5},
        {"mae": 0.683, "events_per_1000": 1.0, "auc_pr": 0.4},
        "The baseline naive does better on test than gru: MAE 0.683 against 0.841.",
    ),
}


@pytest.mark.parametrize("kind", OUTDONE)
def test_a_baseline_that_is_better_on_test_is_named_with_both_figures(kind: str):
    settings, ours, theirs, sentence = OUTDONE[kind]
    sign = -1 if settings.select_by in settings.higher_is_better else 1
    best = scored("gru", {"valid": {settings.select_by: -2.0 * sign}, "test": ours})
    naive = scored("naive", {"valid": {settings.select_by: 2.0 * sign}, "test": theirs})
    other = scored("other", {"valid": {settings.select_by: -1.0 * sign}, "test": ours})

    presenting = find_kind(kind).report.load()
    assert describe_outdone(contest_of(best, baselines=(naive, other), settings=settings), presenting) == [sentence]
    assert describe_outdone(contest_of(best, baselines=(other,), settings=settings), presenting) == []


def test_the_paired_difference_is_told_where_the_report_has_it(reviews: tuple[Lineage, Contest]):
    contest = reviews[1]
    weakest = max(contest.everyone, key=lambda one: one.test["loss"]["value"])
    strongest = max(contest.everyone, key=lambda one: one.test["accuracy"]["value"])
    contest = dataclasses.replace(contest, candidates=(weakest,), baselines=(strongest,))
    report = find_kind("classify").report.load()
    told = describe_outdone(contest, report)

    assert len(told) == 1
    assert f"The baseline {strongest.name} classifies better on test than {weakest.name}: accuracy " in told[0]
    assert f"(paired gain of {weakest.name} -" in told[0]
    gain = report.compare_with_baseline(contest, strongest)
    assert ("which chance alone can explain" in told[0]) == (gain["low"] <= 0 <= gain["high"])


def test_a_small_error_is_not_shown_as_none():
    column = ScoreColumn(metric="mse", title="MSE", digits=4)

    shown = column.show({"mse": {"value": 0.00002, "low": 0.0, "high": 0.12}})

    assert shown == "2.0e-05 [0.0000, 0.1200]"
