"""What the report and the dashboards show of forecasters."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contract.contest import Contest, Scored
from tasks.contract.presentation import Presentation, ScoreColumn
from tasks.contract.report_contents import ReportContents, read_json
from tasks.kinds.forecast import plots
from tasks.kinds.forecast.evaluate import ForecastEvaluationSettings
from tasks.kinds.forecast.metrics import Advantage, measure_advantage
from tasks.kinds.forecast.summaries import ScaledSummary, WindowsSummary
from tasks.statistics.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MSE, MAE, MASE = (ScoreColumn(metric=name, title=name.upper(), digits=4) for name in ("mse", "mae", "mase"))
PRESENTATION = Presentation(
    headline=(MSE, MAE),
    columns=(
        MSE,
        MAE,
        MASE,
        ScoreColumn(metric="smape", title="sMAPE, %"),
        ScoreColumn(metric="crps", title="CRPS", digits=4),
    ),
    template=Path(__file__).with_name("report.html.j2"),
    trial=("forecast what follows a history", "{predict} {example} forecasts.csv"),
    outdone="forecasts better on test than",
)


def gather_details(contents: ReportContents) -> dict:
    """Collect what only the page of a forecaster shows."""
    lineage, contest = contents.lineage, contents.contest
    advantage = None if contest.baseline is None else _measure_advantage(contest, contest.baseline)
    return {
        "shards": {**lineage.shards.summary, **read_json(lineage.shards, "shards.json")},
        "scored": {"unit": "windows", **WindowsSummary.of(lineage.shards).windows},
        "advantage_p_value": None if advantage is None else advantage.p_value,
        "scaled_by_series": ScaledSummary.of(lineage.encoded).scaled_by_series,
    }


def compare_by(contest: Contest[ForecastEvaluationSettings]) -> str:
    """The metric that compares models on test: the deciding one."""
    return contest.settings.select_by


def compare_with_baseline(contest: Contest[ForecastEvaluationSettings], baseline: Scored) -> Interval:
    """How much lower the registered model's test error is than a baseline's, on the same windows."""
    return _measure_advantage(contest, baseline).gain


def draw_figures(facts: dict) -> dict[str, "Figure"]:
    """Draw the plots that only the page of a forecaster shows, by name."""
    best, metric = facts["best"], facts["protocol"]["select_by"]
    steps, baseline_steps = (
        {model["name"]: model["by_step"] for model in facts[group]} for group in ("candidates", "baselines")
    )
    channels = {model["name"]: model["by_channel"] for model in facts["models"]}
    return {
        "windows": plots.draw_windows(best["windows"], best["quantiles"]),
        "steps": plots.draw_error_by_step(steps, baseline_steps, metric),
        "channels": plots.draw_error_by_channel(channels, metric),
        "residuals": plots.draw_autocorrelation(best["residuals"]),
    }


def _measure_advantage(contest: Contest[ForecastEvaluationSettings], baseline: Scored) -> Advantage:
    settings, evaluations = contest.settings, (contest.best.evaluation, baseline.evaluation)
    return measure_advantage(*evaluations, settings.select_by, settings.bootstrap)
