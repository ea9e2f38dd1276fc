"""What a training run is started from: if none of it changed, training again would compute nothing new."""

from flows import pretraining
from tasks import baseline, fit, register, stack
from tasks.contract.kind import Kind
from tasks.contract.recipe import Recipe
from tasks.kinds import find_kind
from tasks.sources.inputs import find_inputs
from tasks.store import fingerprint

# The gate decides about models that are there, and the report shows them: neither is a reason to train.
NO_NEWS = {"promotion"}


def trigger_of(recipe: Recipe, source_digest: str) -> str:
    """SHA-256 over all that training depends on.

    That is the recipe, the content of its source, the registered models that it starts from, and the code and libraries
    that the stages' keys count.
    """
    kind = find_kind(recipe.kind)
    stages = [*modules_of(kind), *pretraining.modules_of(kind, recipe)]
    registered = pretraining.contents_of_registered(kind, recipe)
    return fingerprint.digest_of(
        {
            "recipe": recipe.model_dump(mode="json", exclude=NO_NEWS),
            "source": source_digest,
            "stages": [fingerprint.describe_code(*modules) for modules in stages],
            **({"registered": registered} if registered else {}),
        }
    )


def modules_of(kind: Kind) -> list[tuple[str, ...]]:
    """Where the code of each stage begins, from the rows to the registered model."""
    stages = (kind.ingest, kind.split, kind.encode, kind.shard, kind.evaluate)
    others = (stage.modules_of(kind) for stage in (baseline, fit, stack, register))
    return [*((stage.name,) for stage in stages), *filter(None, others)]


def current_trigger(recipe: Recipe) -> str:
    """The trigger that training now would have; reads the source's bytes and parses nothing.

    Raises what `find_inputs` raises for a source that cannot be found.
    """
    return trigger_of(recipe, find_inputs(recipe.source).digest())
