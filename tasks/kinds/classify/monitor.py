"""The profile that a model's later inputs are compared with: that of its validation rows."""

import json
from pathlib import Path

import numpy as np

from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import Profile
from tasks.kinds.classify.classifier import PROFILE
from tasks.kinds.classify.evaluate import read_predictions
from tasks.labelled.calibration import calibrated_probabilities
from tasks.labelled.evaluate import read_sample
from tasks.labelled.profile import profile_rows
from tasks.labelled.summaries import EncodedSummary
from tasks.registry.served_parts import check_part, read_serving_fields


def reference_profile(best: Scored, lineage: Lineage) -> Profile:
    """Count the validation rows of an evaluated model, from the predictions it stored.

    Not the training rows: a model has seen their texts, so it is surer of them and finds hardly a token unknown; any
    new text would look like drift. Not the test rows: they decide promotions and are not worn for anything else.
    Choosing the epoch by validation flatters the accuracy there a little, which `tasks.monitoring.drift` allows for.
    """
    rows = read_predictions(best.model, lineage.encoded, "valid")
    labels = np.array(EncodedSummary.of(lineage.encoded).labels, dtype=object)
    logits, targets = read_sample(rows)
    temperature = json.loads(best.evaluation.file("metrics.json").read_bytes())["temperature"]
    return profile_rows(
        length=rows["length"].to_numpy(),
        oov_share=rows["oov_share"].to_numpy(),
        probabilities=calibrated_probabilities(logits, temperature),
        labels=labels.tolist(),
        true_labels=labels[targets].tolist(),
    )


def read_reference(parts: Path) -> Profile | None:
    """Read what a model's validation rows looked like, without the model; None where no profile was registered.

    Raises IntegrityError (E-INT-001).
    """
    sha256 = read_serving_fields(parts)["sha256"].get(PROFILE)
    if sha256 is None:
        return None
    check_part(parts / PROFILE, sha256)
    return Profile.from_json(json.loads((parts / PROFILE).read_bytes()))
