"""What a classifier of sequences takes over from a champion: its weights, for numbers that are scaled otherwise now."""

import json
from pathlib import Path

from tasks.contract.initial import match_channels, match_names, store_initial
from tasks.kinds.classify_series.numbers import SCALER_FILE
from tasks.labelled.summaries import LABELS_FILE, EncodedSummary
from tasks.panel.scaler import ColumnScale, Scaler
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary


def write_initial(folder: Path, *, champion: RegisteredModel, encoded: Artefact) -> Summary:
    """Store the champion's weights, what its channels and classes are now, and how its scales lie in the new ones.

    Raises InputError (E-TRN-002) for data without a channel that it knows.
    """
    present, earlier = (read_scales(path) for path in (encoded.file(SCALER_FILE), champion.parts / SCALER_FILE))
    labels = json.loads((champion.parts / LABELS_FILE).read_bytes())
    # A number x in new units is x * factor + shift in those of the champion; what it alone knows stays as it is.
    changes = [change_units(present.get(name, scale), scale) for name, scale in earlier.items()]
    matched = {
        "channels": match_channels(champion, list(present), list(earlier)),
        "classes": match_names(EncodedSummary.of(encoded).labels, labels),
        "factor": [factor for factor, _ in changes],
        "shift": [shift for _, shift in changes],
    }
    return store_initial(folder, champion, matched)


def read_scales(path: Path) -> dict[str, ColumnScale]:
    """The scale of each channel, in the order in which models read them."""
    columns = Scaler.from_dict(json.loads(path.read_bytes())).columns
    return {name.removeprefix("value."): scale for name, scale in columns.items()}


def change_units(present: ColumnScale, earlier: ColumnScale) -> tuple[float, float]:
    """Factor and shift that bring numbers in one scale's units to another's."""
    return present.scale / earlier.scale, (present.centre - earlier.centre) / earlier.scale
