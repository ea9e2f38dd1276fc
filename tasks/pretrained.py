"""Stage `pretrained`: registered language models as what candidates start from, where a recipe names some."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from rnnmodels.durable import sha256_of_file
from tasks.contract.kind import Kind
from tasks.contract.lineage import Lineage
from tasks.promotion import named_models
from tasks.promotion.holdout import find_learned_split
from tasks.registry.served_parts import SERVING
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


@task(name="pretrained", cache_policy=NO_CACHE, persist_result=False)
def pretrained(
    kind: Kind, references: Sequence[str], plan: Mapping[str, Sequence[Mapping[str, Any]]], lineage: Lineage
) -> Artefact:
    """Take registered language models as the start of new fits, in the order in which `pretrain` takes fitted ones.

    Raises InputError: E-REG-001 for one that is not registered, E-TRN-006 for one of which nobody knows what it has
    learned, and what the kind's `write_registered_start` raises; IntegrityError (E-REG-003) if its files are damaged.
    """
    assert kind.pretrain is not None, "only kinds that pretrain are asked"
    module = kind.pretrain.load()
    models = [named_models.resolve_whole_model(reference) for reference in references]
    splits = [find_learned_split(model) for model in models]
    write = partial(module.write_registered_start, models=models, learned=splits, plan=plan, lineage=lineage)
    learned = {f"learned_{number}": split for number, split in enumerate(splits)}
    weights = {f"model_{number}": sha256_of_file(model.parts / SERVING) for number, model in enumerate(models)}
    inputs = weights | learned | lineage.pick(("splits", "encoded"))
    return artefacts.build(
        "initial", write, module=(__name__, kind.pretrain.name), config={"plan": plan}, inputs=inputs
    )
