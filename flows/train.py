"""The flow: from the rows a recipe names to a registered model and a report."""

import time
from collections.abc import Iterable

from prefect import flow

from flows.gpu_pool import FitOrder, fit_all
from flows.lifecycle import LIFECYCLE
from flows.outcome import Delivery, Outcome, conclude
from flows.pretraining import refuse_unregistered, start_pretrained
from flows.recipes.kinds import AnyRecipe, validate_recipe
from flows.recipes.own_name import held_split_of
from flows.trigger import trigger_of
from tasks.baseline import fit_baselines
from tasks.contract.contest import Contest, Scored
from tasks.contract.kind import Kind
from tasks.contract.lineage import Lineage
from tasks.contract.recipe import Recipe
from tasks.contract.report_contents import ReportContents
from tasks.encode import encode
from tasks.errors import ServiceError
from tasks.evaluate import evaluate
from tasks.gate import gate
from tasks.ingest import ingest
from tasks.kinds import find_kind
from tasks.progress import listening
from tasks.promotion.destination import check_destination
from tasks.publish import publish
from tasks.register import register
from tasks.report import report
from tasks.shard import shard
from tasks.split import split
from tasks.stack import stack
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.tracking import dashboard, outbox
from tasks.tracking.runs import RunContext
from tasks.warm_start import warm_start as start_from_champion


@flow(**LIFECYCLE)
def train(
    recipe: AnyRecipe, resume: bool = False, refresh: bool = False, warm_start: bool = False, continues: str = ""
) -> Outcome:
    """Train the recipe's candidates, compare them with baselines, register the best, and judge it by the gate.

    Args:
        recipe: What to train on which rows.
        resume: Continue interrupted fits.
        refresh: Compute every stage again.
        warm_start: Start from the champion's weights where names and architecture are the same.
        continues: An earlier flow run that this one finishes, in the same MLflow run.
    """
    started_s, kind = time.perf_counter(), find_kind(recipe.kind)
    run = dashboard.run_context(recipe.name, continues=continues)
    resume = resume or dashboard.is_retry()
    check_destination(recipe.model_name)
    if not warm_start:
        refuse_unregistered(kind, recipe)
    with artefacts.refreshing(refresh), listening(dashboard.progress_bars()):
        held = held_split_of(recipe)
        rows = ingest(kind, recipe.source)
        splits = split(kind, rows, recipe.split, held)
        lineage = prepare(kind, recipe, rows, splits)
        initial = start_from_champion(kind, recipe.model_name, lineage.encoded) if warm_start else None
        baselines = fit_baselines(kind, lineage, recipe.baseline)
        order = FitOrder(
            kind=kind,
            run=run,
            shards=lineage.shards,
            candidates=tuple(recipe.candidates),
            initial=initial,
            resume=resume,
            refresh=refresh,
        ).continued()
        order = start_pretrained(order, lineage, recipe)
        contest = Contest(
            candidates=score_all(kind, fit_all(order), lineage, recipe),
            baselines=score_all(kind, baselines.fitted, lineage, recipe),
            settings=recipe.evaluate,
            left_out=baselines.left_out,
        )
        stacked = stack(kind, contest, recipe.stacking)
        contest = contest.admit(score_all(kind, stacked.fitted, lineage, recipe), stacked.left_out)
        delivery = deliver_or_defer(kind, order.run, recipe, lineage, contest)
    wall_s = time.perf_counter() - started_s
    return conclude(
        recipe, flow_run=run.flow_run_id, wall_s=wall_s, lineage=lineage, contest=contest, delivery=delivery
    )


def prepare(kind: Kind, recipe: Recipe, rows: Artefact, splits: Artefact) -> Lineage:
    """Encode divided rows, and lay them out as fits read them."""
    encoded = encode(kind, splits, recipe.encode)
    return Lineage(rows=rows, splits=splits, encoded=encoded, shards=shard(kind, encoded, recipe.shard))


def score_all(kind: Kind, models: Iterable[Artefact], lineage: Lineage, recipe: Recipe) -> tuple[Scored, ...]:
    """Evaluate models one after another."""
    return tuple(Scored(model=model, evaluation=evaluate(kind, model, lineage, recipe.evaluate)) for model in models)


def deliver_or_defer(
    kind: Kind, run: RunContext, recipe: Recipe, lineage: Lineage, contest: Contest
) -> Delivery | None:
    """Deliver the best model; if MLflow does not answer, note down what is left to do and return None."""
    try:
        return deliver(kind, run, recipe, lineage, contest)
    except ServiceError as error:
        if error.code != "E-SVC-004":
            raise
        order = {"flow_run_id": run.continues or run.flow_run_id, "recipe": recipe.model_dump(mode="json")}
        outbox.defer({**order, "why": error.problem})
        return None


def deliver(kind: Kind, run: RunContext, recipe: Recipe, lineage: Lineage, contest: Contest) -> Delivery:
    """Register the best model, let the gate judge it, and report where people look."""
    registered = register(kind, run, lineage, contest, recipe.registry)
    trigger = trigger_of(recipe, lineage.source_digest)
    gated = gate(kind, run, lineage, registered, recipe.promotion, trigger=trigger)
    contents = ReportContents(
        recipe_name=recipe.name, lineage=lineage, contest=contest, registered=registered, gated=gated
    )
    page = report(kind, contents)
    return Delivery(
        registered=registered, gated=gated, page=page, published=publish(kind, page, registered, gated, contest)
    )


def finish_deferred(order: dict) -> str:
    """Do what was left undone while MLflow did not answer; finished stages are found, not repeated.

    Raises ServiceError (E-SVC-004) if it still does not answer.
    """
    outcome = train(validate_recipe(order["recipe"]), continues=order["flow_run_id"])
    if outcome.pending:
        raise ServiceError("E-SVC-004", outcome.pending, fix="start MLflow's server, then run: rnnflow sync")
    return "registered {name}/{version} as {alias}".format_map(outcome.registered)
