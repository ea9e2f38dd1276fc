"""What a detector takes over from a champion: the weights of its forecaster; levels have each series' own scale."""

import json
from pathlib import Path

from tasks.contract.initial import match_channels, match_names, store_initial
from tasks.kinds.detect.levels import LevelScaler
from tasks.kinds.detect.serving import SCALES_FILE
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary


def write_initial(folder: Path, *, champion: RegisteredModel, encoded: Artefact) -> Summary:
    """Store the champion's weights, and what its channels and features of the calendar are now.

    Raises InputError (E-TRN-002) for data without a channel that it knows.
    """
    present, earlier = (
        LevelScaler.from_dict(json.loads(path.read_bytes()))
        for path in (encoded.file(SCALES_FILE), champion.parts / SCALES_FILE)
    )
    matched = {
        "channels": match_channels(champion, present.channels, earlier.channels),
        "covariates": match_names(present.covariates, earlier.covariates),
    }
    return store_initial(folder, champion, matched)
