"""What the report and the dashboards show of classifiers."""

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tasks.contract.contest import Contest, Scored
from tasks.contract.presentation import Presentation, ScoreColumn
from tasks.contract.report_contents import ReportContents, read_json
from tasks.contract.summaries import SplitSummary
from tasks.labelled import plots
from tasks.labelled.stack import describe_join
from tasks.statistics.intervals import Interval, mean_with_interval
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACCURACY = ScoreColumn(metric="accuracy", title="accuracy, %", scale=100, digits=1)
LOSS = ScoreColumn(metric="loss", title="loss")
PRESENTATION = Presentation(
    headline=(ACCURACY, LOSS),
    columns=(ACCURACY, LOSS, ScoreColumn(metric="f1", title="F1"), ScoreColumn(metric="auc", title="AUC")),
    template=Path(__file__).with_name("report.html.j2"),
    trial=("classify texts, one a line", "{predict} {example} answers.csv"),
    outdone="classifies better on test than",
)


def gather_details(contents: ReportContents) -> dict:
    """Collect what only the page of a classifier shows."""
    return {
        "shards": {**contents.lineage.shards.summary, **read_json(contents.lineage.shards, "shards.json")},
        "scored": {"unit": "rows", **SplitSummary.of(contents.lineage.splits).splits},
        "mistakes": read_mistakes(contents.contest.best.evaluation),
        "join": describe_join(contents.contest.best.model),
    }


def compare_by(_contest: Contest) -> str:
    """The metric that compares models on test."""
    return ACCURACY.metric


def compare_with_baseline(contest: Contest, baseline: Scored) -> Interval:
    """Difference in test accuracy between the registered model and a baseline, paired by row."""
    settings = contest.settings
    paired = (
        read_correct(contest.best.model)
        .join(read_correct(baseline.model), on="row", validate="1:1", suffix="_baseline")
        .sort("row")
    )
    difference = (paired["correct"].cast(pl.Int8) - paired["correct_baseline"].cast(pl.Int8)).to_numpy()
    return mean_with_interval(
        difference, resamples=settings.resamples, confidence=settings.confidence, seed=settings.seed
    )


def read_correct(model: Artefact) -> pl.DataFrame:
    """Tell for each test row whether the model is right: columns row, correct."""
    predictions = pl.scan_parquet(model.file("predictions.parquet")).filter(split="test")
    return predictions.select("row", correct=pl.col("logits").list.arg_max() == pl.col("target")).collect()


def read_mistakes(evaluation: Artefact) -> list[dict]:
    """Read the table of mistakes, with white space folded for the page."""
    text = pl.col("text").str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.read_parquet(evaluation.file("mistakes.parquet")).with_columns(text).to_dicts()


def draw_figures(facts: dict, unit: str = "tokens") -> dict[str, "Figure"]:
    """Draw the plots that only the page of a classifier shows, by name; lengths are in a unit."""
    best = facts["best"]
    accuracies = {
        model["name"]: {split: model["metrics"][split]["accuracy"] for split in ("valid", "test")}
        for model in facts["models"]
    }
    return {
        "comparison": plots.draw_comparison(accuracies, facts["protocol"]["confidence"]),
        "calibration": plots.draw_calibration(
            best["calibration"]["before"], best["calibration"]["after"], best["temperature"]
        ),
        "confusion": plots.draw_confusion(best["confusion"], best["labels"]),
        "slices": plots.draw_slices(best["slices"], best["metrics"]["test"]["accuracy"]["value"]),
        "lengths": plots.draw_lengths(facts["shards"]["lengths"], facts["shards"]["widths"], unit),
    }
