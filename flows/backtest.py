"""The flow that measures forecasts in the past: a recipe trained again at several cut-offs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from prefect import flow
from prefect.artifacts import create_table_artifact
from pydantic import Field

from flows.gpu_pool import FitOrder, fit_all
from flows.lifecycle import LIFECYCLE
from flows.recipes.kinds import AnyForecast
from flows.train import prepare, score_all
from tasks.baseline import fit_baselines
from tasks.contract.contest import Scored
from tasks.ingest import ingest
from tasks.kinds.forecast.backtesting import name_at_cutoff, plan_cutoffs, summarize_cutoffs, tabulate_cutoff
from tasks.kinds.forecast.recipe import FORECAST, ForecastRecipe
from tasks.kinds.forecast.split import TimeSplitSettings
from tasks.progress import Progress, emit, listening
from tasks.split import split
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.tracking import dashboard


@dataclass(frozen=True, kw_only=True)
class Backtest:
    """A backtest in JSON values only: `records` of each cut-off and model, and the `summary` by model, best first.

    It is the one object that `rnnflow backtest --json` prints.
    """

    recipe: str
    flow_run: str
    metric: str
    cutoffs: list[dict]
    records: list[dict]
    summary: list[dict]


@flow(**LIFECYCLE)
def backtest(
    recipe: AnyForecast,
    cutoffs: Annotated[int, Field(ge=1, le=100)] = 3,
    resume: bool = False,
    refresh: bool = False,
) -> Backtest:
    """Train a recipe at several cut-offs of its test period and score each on what followed; nothing is registered.

    Args:
        recipe: What to forecast, and with which models.
        cutoffs: Pieces into which the test period is cut.
        resume: Continue interrupted fits.
        refresh: Compute every stage again.
    """
    run = dashboard.run_context(recipe.name)
    resume = resume or dashboard.is_retry()
    with artefacts.refreshing(refresh), listening(dashboard.progress_bars()):
        rows = ingest(FORECAST, recipe.source)
        plan = plan_cutoffs(rows, split(FORECAST, rows, recipe.split), cutoffs)
        records = []
        for number, settings in enumerate(plan, start=1):
            emit(Progress("backtest", done=number - 1, total=cutoffs, unit="cut-offs"))
            named = [one.model_copy(update={"name": name_at_cutoff(one.name, number)}) for one in recipe.candidates]
            order = partial(FitOrder, kind=FORECAST, run=run, candidates=tuple(named), resume=resume, refresh=refresh)
            records += tabulate_cutoff(settings, score_cutoff(recipe, rows, settings, order))
    metric = recipe.evaluate.select_by
    summary = summarize_cutoffs(records, metric)
    create_table_artifact(summary, key="backtest", description=f"Test {metric} over {cutoffs} cut-offs.")
    return Backtest(
        recipe=recipe.name,
        flow_run=run.flow_run_id,
        metric=metric,
        cutoffs=[settings.model_dump(mode="json", include=set(TimeSplitSettings.model_fields)) for settings in plan],
        records=records,
        summary=summary,
    )


def score_cutoff(
    recipe: ForecastRecipe, rows: Artefact, settings: TimeSplitSettings, order: Callable[..., FitOrder]
) -> tuple[Scored, ...]:
    """Train and score everyone on rows that are cut as `settings` say; `order` is for fits on given shards."""
    lineage = prepare(FORECAST, recipe, rows, split(FORECAST, rows, settings))
    models = [*fit_all(order(shards=lineage.shards)), *fit_baselines(FORECAST, lineage, recipe.baseline).fitted]
    return score_all(FORECAST, models, lineage, recipe)
