"""Classifiers of sequences as candidates; data and predictions are those of every classifier."""

from typing import TYPE_CHECKING

from pydantic import Field

from rnnmodels.series_config import SeriesArchitecture, SeriesTraining
from tasks.classification.modelling import finish_model, open_data, read_layout
from tasks.errors import InputError
from tasks.fit import Candidate
from tasks.store import Artefact

if TYPE_CHECKING:
    from rnnmodels.batches import Shards
    from rnnmodels.series_classifier import SeriesClassifier

__all__ = ["SequenceCandidate", "create_model", "finish_model", "open_data"]


class SequenceCandidate(Candidate):
    """A classifier to train, and how."""

    model: SeriesArchitecture = Field(SeriesArchitecture(), description="The network.")
    training: SeriesTraining = Field(SeriesTraining(), description="How it is fitted.")


def create_model(
    candidate: SequenceCandidate,
    data: "dict[str, Shards]",  # noqa: ARG001 (weights are a function of sizes and seed)
    shards: Artefact,
    initial: Artefact | None = None,
) -> "SeriesClassifier":
    """Make the candidate's network with its initial weights.

    Raises InputError (E-TRN-002) to start from a champion's weights: numbers of another day have another scale.
    """
    from rnnmodels.series_classifier import SeriesClassifier

    if initial is not None:
        raise InputError(
            "E-TRN-002",
            "a classifier of sequences cannot start from the champion's weights, as its values are scaled anew.",
            fix="train without --warm-start.",
        )
    layout = read_layout(shards)
    sizes = {"num_channels": layout["num_channels"], "num_classes": layout["num_classes"]}
    return SeriesClassifier(candidate.model, **sizes, seed=candidate.training.seed)
