"""Stage `ingest`: a source's files to one table of checked rows, once per content of the files."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import store
from tasks.sources.inputs import find_inputs
from tasks.sources.settings import FileSettings
from tasks.store import Artefact


@task(name="ingest", cache_policy=NO_CACHE, persist_result=False)
def ingest(source: FileSettings) -> Artefact:
    """Read a source into checked rows, once per content of its files."""
    inputs, reading = find_inputs(source), source.performer()
    digest = inputs.digest()
    write = partial(reading.write_rows, settings=source, inputs=inputs, digest=digest)
    return store.build("ingest", write, module=source.modules(), config=source, inputs={"files": digest})
