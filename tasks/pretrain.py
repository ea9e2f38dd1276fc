"""Stages of pretraining: the texts of a language model, and what candidates start from once it is fitted."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from rnnmodels.config import Settings
from tasks.contract.kind import Kind
from tasks.contract.lineage import Lineage
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


@task(name="corpus", cache_policy=NO_CACHE, persist_result=False)
def gather_corpus(kind: Kind, lineage: Lineage, settings: Settings) -> Artefact:
    """Gather the texts that a language model may learn from, none of which is a validation or test row."""
    assert kind.pretrain is not None, "only kinds that pretrain are asked"
    write = partial(kind.pretrain.load().write_corpus, lineage=lineage, settings=settings)
    inputs = lineage.pick(("splits", "encoded"))
    return artefacts.build("corpus", write, module=kind.pretrain.name, config=settings, inputs=inputs)


@task(name="pretrained", cache_policy=NO_CACHE, persist_result=False)
def start_from_language_model(kind: Kind, model: Artefact, corpus: Artefact) -> Artefact:
    """Take a fitted language model as the start of new fits."""
    assert kind.pretrain is not None, "only kinds that pretrain are asked"
    write = partial(kind.pretrain.load().write_start, model=model, corpus=corpus)
    inputs = {"model": model, "corpus": corpus}
    return artefacts.build("initial", write, module=(__name__, kind.pretrain.name), config={}, inputs=inputs)
