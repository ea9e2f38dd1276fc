"""What candidates start from, where they ask for language models: newly fitted or registered ones."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from flows.gpu_pool import FitOrder, fit_all
from rnnmodels.config import Settings
from tasks import fit, pretrain
from tasks.contract.candidate import Candidate
from tasks.contract.kind import Kind
from tasks.contract.lineage import Lineage
from tasks.contract.recipe import Recipe
from tasks.corpus import corpus
from tasks.kinds import find_kind
from tasks.pretrained import pretrained
from tasks.promotion import ledger, named_models
from tasks.shard import shard
from tasks.store.artefacts import Artefact
from tasks.tracking.runs import RunContext


def start_pretrained(order: FitOrder, lineage: Lineage, recipe: Recipe) -> FitOrder:
    """Fit the language models that candidates start from, each once, or find them registered: the order with starts.

    Where all start from a champion, nothing else is to be learned before.
    """
    plan = {} if order.initial is not None else plan_models(order.kind, recipe)
    if not plan:
        return order
    if registered := _registered_models(recipe):
        start = pretrained(order.kind, registered, plan, lineage)
        return dataclasses.replace(order, starts=dict.fromkeys(plan, start)).continued()
    texts = corpus(order.kind, lineage, _settings_of(recipe))
    models, run = fit_language_models(order, texts, {one["name"]: one for needed in plan.values() for one in needed})
    names = {candidate: tuple(one["name"] for one in needed) for candidate, needed in plan.items()}
    starts = {
        needed: pretrain.pretrain(order.kind, [models[name] for name in needed], texts)
        for needed in dict.fromkeys(names.values())
    }
    by_candidate = {candidate: starts[needed] for candidate, needed in names.items()}
    return dataclasses.replace(order, run=run, starts=by_candidate).continued()


def refuse_unregistered(kind: Kind, recipe: Recipe) -> None:
    """Look for the language models that a recipe names, before any row is read; raises what `find_model` does."""
    for reference in _registered_models(recipe) if plan_models(kind, recipe) else ():
        named_models.find_model(reference)


def plan_models(kind: Kind, recipe: Recipe) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """By candidate the language models that it starts from, as a recipe would say it."""
    if kind.pretrain is None:
        return {}
    return kind.pretrain.load().plan_models(recipe.candidates, _settings_of(recipe))


def modules_of(kind: Kind, recipe: Recipe) -> list[tuple[str, ...]]:
    """Where the code begins that fits the language models of a recipe, if it has any."""
    if not plan_models(kind, recipe):
        return []
    assert kind.pretrain is not None, "only kinds that pretrain have a plan"
    if _registered_models(recipe):
        return [(pretrained.__module__, kind.pretrain.name)]
    language = find_kind("language")
    own = [(kind.pretrain.name,), pretrain.modules_of(kind)]
    return [*own, (language.shard.name,), fit.modules_of(language)]


def _settings_of(recipe: Recipe) -> Settings:
    settings = getattr(recipe, "pretrain", None)
    assert isinstance(settings, Settings), "a kind that pretrains has this section"
    return settings


def contents_of_registered(kind: Kind, recipe: Recipe) -> list[str]:
    """What the registered language models that a recipe names are now; a champion by what the ledger says of it."""
    if not plan_models(kind, recipe):
        return []
    references = [named_models.parse_reference(text) for text in _registered_models(recipe)]
    heads = [ledger.head(one.name) if one.alias else None for one in references]
    return [f"{one} {head.champion_content if head else ''}" for one, head in zip(references, heads, strict=True)]


def _registered_models(recipe: Recipe) -> Sequence[str]:
    """The registered language models that a recipe names."""
    return getattr(_settings_of(recipe), "models", ())


def fit_language_models(
    order: FitOrder, texts: Artefact, models: dict[str, Mapping[str, Any]]
) -> tuple[dict[str, Artefact], RunContext]:
    """Fit language models as candidates are fitted, here or on the GPU pool; returns them by name, and where tracked.

    An interrupted one goes on in the MLflow run in which it was begun.
    """
    language = find_kind("language")
    candidate = language.recipe.settings_of("candidates", Candidate)
    streams = shard(language, texts, language.recipe.model_fields["shard"].default)
    candidates = tuple(candidate.model_validate(model) for model in models.values())
    own = dataclasses.replace(order, kind=language, shards=streams, candidates=candidates).continued()
    return dict(zip(models, fit_all(own), strict=True)), own.run
