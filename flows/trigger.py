"""What a training run is started from: if none of it changed, training again would compute nothing new."""

from flows.kinds import Recipe
from tasks import fingerprint
from tasks.sources.inputs import find_inputs

STAGES = ("ingest", "split", "encode", "shard", "fit", "baseline", "evaluate")


def trigger_of(recipe: Recipe, source_digest: str) -> str:
    """SHA-256 over the recipe, the content of its source, the code of the stages and the libraries they use."""
    modules = [f"tasks.{stage}" for stage in STAGES]
    return fingerprint.digest_of(
        {
            "recipe": recipe.model_dump(mode="json"),
            "source": source_digest,
            "code": {module: fingerprint.code_digest(module) for module in modules},
            "libraries": {module: fingerprint.installed_versions(module) for module in modules},
        }
    )


def current_trigger(recipe: Recipe) -> str:
    """The trigger that training now would have; reads the source's bytes and parses nothing.

    Raises what `find_inputs` raises for a source that cannot be found.
    """
    return trigger_of(recipe, find_inputs(recipe.source).digest())
