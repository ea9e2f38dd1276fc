"""Stage `pretrain`: what candidates start from, once the language models of their layers are fitted."""

from collections.abc import Sequence
from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.contract.kind import Kind
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


def modules_of(kind: Kind) -> tuple[str, ...]:
    """Where the code of a start begins: this stage, and the kind's part."""
    assert kind.pretrain is not None, "only kinds that pretrain are asked"
    return __name__, kind.pretrain.name


@task(name="pretrain", cache_policy=NO_CACHE, persist_result=False)
def pretrain(kind: Kind, models: Sequence[Artefact], corpus: Artefact) -> Artefact:
    """Take fitted language models as the start of new fits: the forward one, then the backward one if there is one."""
    assert kind.pretrain is not None, "only kinds that pretrain are asked"
    write = partial(kind.pretrain.load().write_start, models=models, corpus=corpus)
    inputs = {f"model_{number}": model for number, model in enumerate(models)} | {"corpus": corpus}
    return artefacts.build("initial", write, module=modules_of(kind), config={}, inputs=inputs)
