"""Stage `initial`: what new fits start from, the champion's weights and how they correspond to new data.

Vocabularies, channels and scales of different days differ; what a fit starts from is an artefact, so that its key says
so.
"""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from rnnmodels.durable import sha256_of_file
from tasks.contract.initial import refuse_start
from tasks.contract.kind import Kind
from tasks.promotion import named_models
from tasks.registry.served_parts import SERVING, read_serving_fields
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


@task(name="warm_start", cache_policy=NO_CACHE, persist_result=False)
def warm_start(kind: Kind, model: str, encoded: Artefact) -> Artefact:
    """Take the weights of a registered model as the start of new fits.

    Raises InputError (E-REG-001) if none is registered and (E-TRN-002) for one whose weights say nothing about the new
    data: of another kind, of a kind that has no use for them, or where nothing corresponds; IntegrityError (E-REG-003)
    if its files are damaged.
    """
    champion = named_models.resolve_model(model)
    own = read_serving_fields(champion.parts)["kind"]
    if own != kind.name:
        raise refuse_start(champion, f"it is a model of the kind {own}, expected {kind.name}", "set registry.model")
    if kind.warm_start is None:
        raise refuse_start(champion, f"the kind {kind.name} knows no warm start", "leave it out")
    write = partial(kind.warm_start.load().write_initial, champion=champion, encoded=encoded)
    serving = sha256_of_file(champion.parts / SERVING)
    inputs = {"champion": serving, "encoded": encoded}
    return artefacts.build("initial", write, module=(__name__, kind.warm_start.name), config={}, inputs=inputs)
