"""What a training run is started from: if none of it changed, training again would compute nothing new."""

from flows.kinds import Recipe
from tasks import fingerprint
from tasks.part import Part
from tasks.sources.inputs import find_inputs

# The gate decides about models that are there, and the report shows them: neither is a reason to train.
SECTIONS = ("source", "split", "encode", "shard", "baseline", "evaluate", "registry")
NO_NEWS = {"promotion"}


def trigger_of(recipe: Recipe, source_digest: str) -> str:
    """SHA-256 over the recipe, the content of its source, and the code and libraries that the stages' keys count."""
    return fingerprint.digest_of(
        {
            "recipe": recipe.model_dump(mode="json", exclude=NO_NEWS),
            "source": source_digest,
            "stages": [fingerprint.describe_code(*modules) for modules in modules_of(recipe)],
        }
    )


def modules_of(recipe: Recipe) -> list[tuple[str, ...]]:
    """Where the code of each stage begins that this recipe runs, from the rows to the registered model."""
    parts: list[Part] = [*(getattr(recipe, section) for section in SECTIONS), *recipe.candidates]
    return list(dict.fromkeys(part.modules() for part in parts))


def current_trigger(recipe: Recipe) -> str:
    """The trigger that training now would have; reads the source's bytes and parses nothing.

    Raises what `find_inputs` raises for a source that cannot be found.
    """
    return trigger_of(recipe, find_inputs(recipe.source).digest())
