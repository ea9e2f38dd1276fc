"""The flow of the schedule: look whether there is anything new, and train only then."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.lifecycle import LIFECYCLE
from flows.outcome import Outcome
from flows.recipes.kinds import AnyRecipe
from flows.train import train
from flows.trigger import current_trigger
from tasks.contract.recipe import Recipe
from tasks.promotion import ledger
from tasks.registry import registrations
from tasks.tracking.store_failures import passing_over_silence


@flow(**LIFECYCLE)
def retrain(recipe: AnyRecipe, warm_start: bool = False, force: bool = False) -> Outcome | State:
    """Train if rows, recipe, code or libraries are new to the gate's ledger; else say so and end.

    Args:
        recipe: What to train on which rows.
        warm_start: Start from the champion's weights where names and architecture are the same.
        force: Train although nothing changed.
    """
    skipped = "" if force else describe_nothing_new(recipe)
    if skipped:
        return Completed(name="Skipped", message=skipped)
    return train(recipe, warm_start=warm_start)


def describe_nothing_new(recipe: Recipe) -> str:
    """Say that the champion is current; empty if there is something new to train on, or no champion (any more)."""
    entries = ledger.read_entries(recipe.model_name)
    judged = {entry.trigger for entry in entries}
    if not entries or current_trigger(recipe) not in judged:
        return ""
    if not _is_champion_registered(recipe.model_name):
        return ""
    return f"skipped, champion v{entries[-1].champion} is current"


def _is_champion_registered(model: str) -> bool:
    """Tell whether the champion is where it was; of a registry that does not answer nothing else is assumed."""
    with passing_over_silence():
        return registrations.holds_version(model, ledger.read_entries(model)[-1].who("champion"))
    return True
