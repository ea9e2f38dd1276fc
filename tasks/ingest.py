"""Stage `ingest`: a source's files to one table of checked rows, once per content of the files."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.contract.kind import Kind
from tasks.sources.inputs import find_inputs
from tasks.sources.settings import FileSettings
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


@task(name="ingest", cache_policy=NO_CACHE, persist_result=False)
def ingest(kind: Kind, source: FileSettings) -> Artefact:
    """Read a source into checked rows, once per content of its files."""
    inputs = find_inputs(source)
    digest = inputs.digest()
    write = partial(kind.ingest.load().write_rows, settings=source, inputs=inputs, digest=digest)
    return artefacts.build("ingest", write, module=kind.ingest.name, config=source, inputs={"files": digest})
