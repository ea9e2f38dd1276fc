"""What the report and the dashboards show of detectors."""

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tasks.contract.contest import Contest, Scored
from tasks.contract.presentation import Presentation, ScoreColumn
from tasks.contract.report_contents import ReportContents, read_json
from tasks.kinds.detect.evaluate import DetectionEvaluationSettings
from tasks.kinds.detect.measuring import compare_series
from tasks.kinds.detect.plots import draw_calibration, take_pictures
from tasks.kinds.detect.summaries import WarmUpSummary
from tasks.kinds.forecast.metrics import measure_advantage
from tasks.panel.time_grid import Clock, show_time
from tasks.statistics.intervals import Interval
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVEL = "level"  # the baseline that lacks nothing but the network
MAX_EVENTS = 50

MAE = ScoreColumn(metric="mae", title="MAE")
EVENTS = ScoreColumn(metric="events_per_1000", title="events, ‰", digits=2, page_digits=2, ranks=False)
AUC_PR = ScoreColumn(metric="auc_pr", title="AUC-PR", page_digits=3)
VUS_PR = ScoreColumn(metric="vus_pr", title="VUS-PR", page_digits=3)
NAB = ScoreColumn(metric="nab", title="NAB", digits=1, page_digits=1)
PRESENTATION = Presentation(
    headline=(MAE, EVENTS, AUC_PR),
    columns=(
        MAE,
        EVENTS,
        AUC_PR,
        NAB,
        ScoreColumn(metric="found", title="found", digits=2, page_digits=2),
        ScoreColumn(metric="false_alarms_per_1000", title="false, ‰", digits=2, page_digits=2),
    ),
    template=Path(__file__).with_name("report.html.j2"),
    trial=("judge new rows", "{predict} {example} judged.csv"),
    beaten="forecasts better on validation; the report shows whether the forecasts help the detector.",
    outdone="does better on test than",
)


def gather_details(contents: ReportContents) -> dict:
    """Collect what only the page of a detector shows."""
    lineage, contest = contents.lineage, contents.contest
    levels = WarmUpSummary.of(lineage.encoded)
    events, clock = read_events(contest.best.evaluation), levels.clock
    records = read_json(contest.best.evaluation, "metrics.json")["by_series"]
    return {
        "shards": {**lineage.shards.summary, **read_json(lineage.shards, "shards.json")},
        "scored": {"unit": "rows", **levels.splits},
        "judging": contest.best.model.manifest["config"]["detector"],
        "compared_by": compare_by(contest),
        "worth": measure_worth(contest),
        "num_events": events.height,
        "events": [show_event(event, clock) for event in choose_events(events).iter_rows(named=True)],
        "is_labelled": any(record["labelled"] for record in records),
        "pictures": take_pictures(lineage, contest.best, records),
    }


def compare_by(contest: Contest[DetectionEvaluationSettings]) -> str:
    """The metric that compares models on test: the deciding one, unless no test row is labelled anomalous."""
    chosen = contest.settings.select_by
    return chosen if chosen in contest.best.test else MAE.metric


def compare_with_baseline(contest: Contest[DetectionEvaluationSettings], baseline: Scored) -> Interval:
    """How much better the registered model is on test than a baseline, on the same rows; positive is better."""
    return measure_gain(contest, baseline, compare_by(contest))


def measure_gain(contest: Contest[DetectionEvaluationSettings], other: Scored, metric: str) -> Interval:
    """How much better the registered model is on test than another one by a metric, on the same rows."""
    settings, evaluations = contest.settings, (contest.best.evaluation, other.evaluation)
    if metric == MAE.metric:
        return measure_advantage(*evaluations, metric, settings.bootstrap).gain
    records = (read_json(evaluation, "metrics.json")["by_series"] for evaluation in evaluations)
    gain = compare_series(*records, metric, profile=settings.yardstick.profile, bootstrap=settings.bootstrap)
    assert gain is not None, "a metric that is shown is defined on some series"
    return gain


def measure_worth(contest: Contest[DetectionEvaluationSettings]) -> dict:
    """What the network adds to its detector: gains over the level alone, and how many events are those of the level.

    Nothing where the level was left out.
    """
    level = next((one for one in contest.baselines if one.name == LEVEL), None)
    if level is None:
        return {}
    ours, theirs = (read_events(one.evaluation) for one in (contest.best, level))
    metrics, level_metrics = (one.test for one in (contest.best, level))
    return {
        "events": ours.height,
        "level_events": theirs.height,
        "shared": count_met(ours, theirs),
        "gains": [
            {
                "column": column,
                "best": metrics[column.metric]["value"],
                "level": level_metrics[column.metric]["value"],
                "gain": measure_gain(contest, level, column.metric),
            }
            for column in (MAE, AUC_PR, VUS_PR, NAB)
            if column.metric in metrics
        ],
    }


def count_met(events: pl.DataFrame, others: pl.DataFrame) -> int:
    """How many events overlap in time with one of others in the same series."""
    pairs = events.with_row_index().join(others, on="series", suffix="_other")
    met = pairs.filter(pl.col("first") <= pl.col("last_other"), pl.col("first_other") <= pl.col("last"))
    return met["index"].n_unique()


def read_events(evaluation: Artefact) -> pl.DataFrame:
    """Read the events of the test rows."""
    return pl.read_parquet(evaluation.file("events.parquet"))


def choose_events(events: pl.DataFrame) -> pl.DataFrame:
    """The highest-scoring events, by series and time."""
    return events.top_k(MAX_EVENTS, by="surprise").sort("series", "first")


def show_event(event: dict, clock: Clock) -> dict:
    """An event with its times as people write them."""
    times = pl.DataFrame([event]).select(pl.col("first", "last", "peak").cast(pl.Int64)).row(0, named=True)
    return {**event, **{name: show_time(time, clock).replace("T", " ") for name, time in times.items()}}


def draw_figures(facts: dict) -> dict[str, "Figure"]:
    """Draw the plots that only the page of a detector shows, by name."""
    drawn = {f"series-{number}": picture.draw() for number, picture in enumerate(facts["pictures"], start=1)}
    return {**drawn, "calibration": draw_calibration(facts["best"]["calibration"])}
