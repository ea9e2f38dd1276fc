"""Stage `pretrain`: what candidates start from, once the language model of their layers is fitted."""

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
def pretrain(kind: Kind, model: Artefact, corpus: Artefact) -> Artefact:
    """Take a fitted language model as the start of new fits."""
    assert kind.pretrain is not None, "only kinds that pretrain are asked"
    write = partial(kind.pretrain.load().write_start, model=model, corpus=corpus)
    inputs = {"model": model, "corpus": corpus}
    return artefacts.build("initial", write, module=modules_of(kind), config={}, inputs=inputs)
