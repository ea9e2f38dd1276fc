"""Stage `encode`: rows to numbers, by a vocabulary or a scaler learned from the training rows alone."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import store
from tasks.part import Part
from tasks.store import Artefact


@task(name="encode", cache_policy=NO_CACHE, persist_result=False)
def encode(splits: Artefact, settings: Part) -> Artefact:
    """Learn how to encode from the training rows, and encode every split so."""
    encoding = settings.performer()
    write = partial(encoding.write_encoded, splits=splits, settings=settings)
    return store.build("encode", write, module=settings.modules(), config=settings, inputs={"splits": splits})
