"""The fixed test rows of a registered model: those of the split on which its first champion was decided."""

import logging

from tasks.errors import InputError, IntegrityError
from tasks.promotion import ledger
from tasks.registry.identity import CHALLENGER, CHAMPION
from tasks.registry.registered_model import RegisteredModel
from tasks.store import artefacts
from tasks.store.artefacts import Artefact

logger = logging.getLogger(__name__)


def find_learned_split(model: RegisteredModel) -> Artefact:
    """Return the split of the run that registered a version: what it has learned, and what not.

    Raises InputError (E-TRN-006) where that is not known in this project, or no longer there.
    """
    entries = [entry for entry in ledger.read_entries(model.name) if entry.splits]
    registered = next((one for one in entries if one.who(CHALLENGER).is_same(model.identity)), None)
    registered = registered or next((one for one in entries if one.who(CHAMPION).is_same(model.identity)), None)
    try:
        if registered is not None:
            return artefacts.open_artefact(registered.splits)
    except IntegrityError as error:
        logger.warning("%s", error)
    raise InputError(
        "E-TRN-006",
        f"which texts {model.label} has learned is not in this project's store, so that nobody can tell whether a "
        "validation or test text is among them.",
        fix=f"train {model.name} in this project, or leave pretrain.models out.",
    )


def find_held_split(model: str) -> Artefact | None:
    """Return the split whose validation and test rows must stay what they were; None for a model without a past.

    A split that is gone is reported: new test rows are then drawn, on which no comparison with the champion counts.
    """
    entries = [entry for entry in ledger.read_entries(model) if entry.splits]
    if not entries:
        return None
    first = next(entry for entry in entries if entry.holdout == entries[-1].holdout)
    try:
        return artefacts.open_artefact(first.splits)
    except IntegrityError as error:
        logger.warning("The test rows of %s are lost, so others are drawn. %s", model, error)
        return None
