"""The flow: from the rows a recipe names to a registered model and a report."""

import time

from prefect import flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow

from flows.outcome import Outcome, conclude
from flows.recipe import Recipe
from tasks import dashboard, store
from tasks.baseline import fit_baseline
from tasks.contest import Contest, Lineage
from tasks.encode import encode
from tasks.evaluate import evaluate
from tasks.fit import fit
from tasks.ingest import ingest
from tasks.progress import listening
from tasks.publish import publish
from tasks.recording import live_metrics
from tasks.register import register
from tasks.report import ReportContents, report
from tasks.runs import STATUS_OF_STATE, close_run
from tasks.shard import shard
from tasks.split import split


def close_mlflow_run(_flow: Flow, flow_run: FlowRun, state: State) -> None:
    """End the MLflow run as the flow run ended, so that the two never disagree."""
    close_run(str(flow_run.id), STATUS_OF_STATE[state.type.value])


AT_THE_END = [close_mlflow_run]


@flow(on_completion=AT_THE_END, on_failure=AT_THE_END, on_cancellation=AT_THE_END, on_crashed=AT_THE_END)
def train(recipe: Recipe, resume: bool = False, refresh: bool = False) -> Outcome:
    """Train the recipe's candidates, compare them with the baseline, and register the best.

    `resume` continues fits that were interrupted; `refresh` computes every stage again.
    """
    started_s = time.perf_counter()
    run = dashboard.run_context(recipe.name)
    with store.refreshing(refresh), listening(dashboard.progress_bars(), live_metrics(run)):
        rows = ingest(recipe.source)
        splits = split(rows, recipe.split)
        encoded = encode(splits, recipe.encode)
        shards = shard(encoded, recipe.shard)
        baseline = fit_baseline(splits, recipe.baseline)
        models = [*(fit(shards, candidate, resume) for candidate in recipe.candidates), baseline]
        evaluations = [evaluate(model, encoded, splits, recipe.evaluate) for model in models]
        lineage = Lineage(rows=rows, splits=splits, encoded=encoded, shards=shards)
        contest = Contest.between(models, evaluations, recipe.evaluate)
        registered = register(run, lineage, contest, recipe.registry)
        contents = ReportContents(recipe_name=recipe.name, lineage=lineage, contest=contest, registered=registered)
        page = report(contents)
        published = publish(page, registered, contest)
    wall_s = time.perf_counter() - started_s
    return conclude(recipe, flow_run=run.flow_run_id, wall_s=wall_s, contents=contents, pages=[page, published])
