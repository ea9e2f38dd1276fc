"""Stage `encode`: rows to numbers, by a vocabulary or a scaler learned from the training rows alone."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from rnnmodels.config import Settings
from tasks.contract.kind import Kind
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


@task(name="encode", cache_policy=NO_CACHE, persist_result=False)
def encode(kind: Kind, splits: Artefact, settings: Settings) -> Artefact:
    """Learn how to encode from the training rows, and encode every split so."""
    write = partial(kind.encode.load().write_encoded, splits=splits, settings=settings)
    return artefacts.build("encode", write, module=kind.encode.name, config=settings, inputs={"splits": splits})
