"""The fixed test rows of a registered model: those of the split on which its first champion was decided."""

import logging

from tasks.errors import IntegrityError
from tasks.promotion import ledger
from tasks.store import artefacts
from tasks.store.artefacts import Artefact

logger = logging.getLogger(__name__)


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
