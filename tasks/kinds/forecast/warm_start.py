"""What a forecaster takes over from a champion: the weights of its recurrent part; the line is fitted anew.

Scales of another day are left to training: windows are less their own level, and no change of scale can be folded into
weights that all channels share.
"""

import json
from pathlib import Path

from tasks.contract.initial import match_channels, match_names, refuse_start, store_initial
from tasks.kinds.forecast.encode import SCALER_FILE
from tasks.kinds.forecast.summaries import GridSummary
from tasks.panel.scaler import Scaler
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import read_serving_fields
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary


def write_initial(folder: Path, *, champion: RegisteredModel, encoded: Artefact) -> Summary:
    """Store the champion's weights, and what its channels and covariates are now.

    Raises InputError (E-TRN-002) for data without a channel that it knows, or whose numbers are of another kind: in the
    units of the source, scaled for all series alike, or for each.
    """
    present, earlier = (
        Scaler.from_dict(json.loads(path.read_bytes()))
        for path in (encoded.file(SCALER_FILE), champion.parts / SCALER_FILE)
    )
    channels = read_serving_fields(champion.parts)["serving"]["channels"]
    matched = {
        "channels": match_channels(champion, GridSummary.of(encoded).channels, channels),
        "covariates": match_names(present.covariates, earlier.covariates),
    }
    now, then = describe_units(present), describe_units(earlier)
    if now != then:
        raise refuse_start(
            champion, f"its numbers were {then}, and those to train on are {now}", "set encode.method and encode.scale"
        )
    return store_initial(folder, champion, matched)


def describe_units(scaler: Scaler) -> str:
    """Say what numbers are scaled by."""
    if scaler.method == "none":
        return "in the units of the source"
    return "scaled for all series alike" if scaler.own is None else "scaled for each series"
