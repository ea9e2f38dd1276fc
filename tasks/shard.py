"""Stage `shard`: encoded rows to Arrow files that a loader can map and slice."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from rnnmodels.config import Settings
from tasks.contract.kind import Kind
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


@task(name="shard", cache_policy=NO_CACHE, persist_result=False)
def shard(kind: Kind, encoded: Artefact, settings: Settings) -> Artefact:
    """Lay encoded rows out as a training run reads them."""
    write = partial(kind.shard.load().write_shards, encoded=encoded, settings=settings)
    return artefacts.build("shard", write, module=kind.shard.name, config=settings, inputs={"encoded": encoded})
