"""What is monitored of texts: their length, unknown tokens, confidence and labels."""

from tasks.contract.contest import Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import Profile
from tasks.kinds.classify.evaluate import read_predictions
from tasks.labelled.monitor import profile_validation
from tasks.labelled.profile import WATCH

__all__ = ["WATCH", "reference_profile"]


def reference_profile(best: Scored, lineage: Lineage) -> Profile:
    """Count the validation rows of an evaluated model."""
    rows = read_predictions(best.model, lineage.encoded, "valid")
    values = {name: rows[name].to_numpy() for name in ("length", "oov_share")}
    return profile_validation(rows, values, best, lineage)
