"""Stage `pretrained`: registered language models as what candidates start from, where a recipe names some."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from rnnmodels.durable import sha256_of_file
from tasks.contract.kind import Kind
from tasks.contract.lineage import Lineage
from tasks.errors import InputError, IntegrityError
from tasks.promotion import named_models
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.registrations import SPLITS, START, read_tags
from tasks.registry.served_parts import SERVING, read_serving_fields
from tasks.store import artefacts
from tasks.store.artefacts import Artefact

logger = logging.getLogger(__name__)


def refuse_other_kind(model: RegisteredModel) -> None:
    """Raise InputError (E-TRN-004) for a model of another kind."""
    kind = read_serving_fields(model.parts)["kind"]
    if kind != "language":
        raise InputError(
            "E-TRN-004",
            f"{model.label} is a model of the kind {kind}, and candidates start from language models.",
            fix="name a model of the kind language in pretrain.models.",
        )


def find_trained_on(model: RegisteredModel) -> Artefact:
    """Return the split of the rows that a version was trained on.

    Raises InputError (E-TRN-006) where that is not known, or where its own start has read other rows.
    """
    tags = read_tags(model.name, model.version)
    if tags.get(START):
        raise unknown_texts(model, f"it was itself started from {tags[START]}")
    try:
        if tags.get(SPLITS):
            return artefacts.open_artefact(tags[SPLITS])
    except IntegrityError as error:
        logger.warning("%s", error)
    raise unknown_texts(model, "they are not in this project's store")


def unknown_texts(model: RegisteredModel, reason: str) -> InputError:
    """The error of a model of which nobody can tell whether it was trained on a validation or test text (E-TRN-006)."""
    return InputError(
        "E-TRN-006",
        f"whether the language model {model.label} was trained on a validation or test text of this recipe cannot be "
        f"checked, since {reason}.",
        fix=f"train {model.name} in this project on documents of its own, without --warm-start, or leave "
        "pretrain.models out.",
    )


@task(name="pretrained", cache_policy=NO_CACHE, persist_result=False)
def pretrained(
    kind: Kind, references: Sequence[str], plan: Mapping[str, Sequence[Mapping[str, Any]]], lineage: Lineage
) -> Artefact:
    """Take registered language models as the start of new fits, in the order in which `pretrain` takes fitted ones.

    Raises InputError: E-REG-001 for one that is not registered, E-TRN-004 for a model of another kind, E-TRN-006 for
    one of which nobody knows what it was trained on, and what the kind's `write_registered_start` raises;
    IntegrityError (E-REG-003) if its files are damaged.
    """
    assert kind.pretrain is not None, "only kinds that pretrain are asked"
    models = [named_models.resolve_whole_model(reference) for reference in references]
    for model in models:
        refuse_other_kind(model)
    splits = [find_trained_on(model) for model in models]
    write = partial(
        kind.pretrain.load().write_registered_start, models=models, learned=splits, plan=plan, lineage=lineage
    )
    learned = {f"learned_{number}": split for number, split in enumerate(splits)}
    weights = {f"model_{number}": sha256_of_file(model.parts / SERVING) for number, model in enumerate(models)}
    inputs = weights | learned | lineage.pick(("splits", "encoded"))
    modules = (__name__, kind.pretrain.name)
    return artefacts.build("initial", write, module=modules, config={"plan": plan}, inputs=inputs)
