"""Whether a recipe's model name is its own: a name belongs to the kind of problem whose champion it has."""

from tasks.contract.recipe import Recipe
from tasks.contract.summaries import SplitSummary
from tasks.errors import InputError, quoted
from tasks.promotion.holdout import find_held_split
from tasks.store.artefacts import Artefact


def held_split_of(recipe: Recipe) -> Artefact | None:
    """Return the split whose validation and test rows the recipe's model must keep; None for a model without a past.

    Raises InputError (E-DATA-031) if the name belongs to a model of another kind, with which nothing can be compared.
    """
    held = find_held_split(recipe.model_name)
    other = recipe.kind if held is None else SplitSummary.of(held).kind
    if other != recipe.kind:
        raise InputError(
            "E-DATA-031",
            f"the name {quoted(recipe.model_name)} belongs to a model of kind {other}, "
            f"and the recipe is of kind {recipe.kind}.",
            fix="set registry.model_name to an unused name.",
        )
    return held
