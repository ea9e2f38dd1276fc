"""Stage `initial`: what new fits start from, the champion's weights and how they correspond to new data.

Vocabularies of different days differ; what a fit starts from is an artefact, so that its key says so.
"""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from rnnmodels.durable import sha256_of_file
from tasks.contract.kind import Kind
from tasks.errors import InputError
from tasks.promotion import named_models
from tasks.registry.served_parts import SERVING, read_serving_fields
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


@task(name="warm_start", cache_policy=NO_CACHE, persist_result=False)
def warm_start(kind: Kind, model: str, encoded: Artefact) -> Artefact:
    """Take the weights of a registered model as the start of new fits.

    Raises InputError (E-REG-001) if none is registered and (E-TRN-002) for one of another kind, or of a kind whose
    weights say nothing about other data; IntegrityError (E-REG-003) if its files are damaged.
    """
    champion = named_models.resolve_model(model)
    if kind.warm_start is None or read_serving_fields(champion.parts)["kind"] != kind.name:
        raise InputError(
            "E-TRN-002",
            f"training cannot start from {champion.label}, whose numbers were scaled by other training rows.",
            fix="train without --warm-start.",
        )
    write = partial(kind.warm_start.load().write_initial, champion=champion, encoded=encoded)
    serving = sha256_of_file(champion.parts / SERVING)
    inputs = {"champion": serving, "encoded": encoded}
    return artefacts.build("initial", write, module=(__name__, kind.warm_start.name), config={}, inputs=inputs)
