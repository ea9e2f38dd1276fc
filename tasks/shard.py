"""Stage `shard`: encoded rows to Arrow files that a loader can map and slice."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import store
from tasks.part import Part
from tasks.store import Artefact


@task(name="shard", cache_policy=NO_CACHE, persist_result=False)
def shard(encoded: Artefact, settings: Part) -> Artefact:
    """Lay encoded rows out as a training run reads them."""
    sharding = settings.performer()
    write = partial(sharding.write_shards, encoded=encoded, settings=settings)
    return store.build("shard", write, module=settings.modules(), config=settings, inputs={"encoded": encoded})
