"""Stage `corpus`: the texts that a language model may learn from before candidates are fitted."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from rnnmodels.config import Settings
from tasks.contract.kind import Kind
from tasks.contract.lineage import Lineage
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


@task(name="corpus", cache_policy=NO_CACHE, persist_result=False)
def corpus(kind: Kind, lineage: Lineage, settings: Settings) -> Artefact:
    """Gather the texts that a language model may learn from, none of which is a validation or test row."""
    assert kind.pretrain is not None, "only kinds that pretrain are asked"
    write = partial(kind.pretrain.load().write_corpus, lineage=lineage, settings=settings)
    inputs = lineage.pick(("splits", "encoded"))
    return artefacts.build("corpus", write, module=kind.pretrain.name, config=settings, inputs=inputs)
