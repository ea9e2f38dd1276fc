"""Classifiers of sequences as candidates; data and predictions are those of every classifier."""

from typing import TYPE_CHECKING

from pydantic import Field

from rnnmodels.classifiers.series_config import SeriesArchitecture, SeriesTraining
from tasks.contract.candidate import Candidate
from tasks.labelled.fit import finish_model, open_data, read_layout
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from rnnmodels.classifiers.batches import Shards
    from rnnmodels.classifiers.series_classifier import SeriesClassifier

__all__ = ["SequenceCandidate", "create_model", "finish_model", "open_data"]


class SequenceCandidate(Candidate):
    """A classifier to train, and how."""

    model: SeriesArchitecture = Field(SeriesArchitecture(), description="The network.")
    training: SeriesTraining = Field(SeriesTraining(), description="How it is fitted.")


def create_model(
    candidate: SequenceCandidate,
    data: "dict[str, Shards]",  # noqa: ARG001 (weights are a function of sizes and seed)
    shards: Artefact,
    initial: Artefact | None = None,  # noqa: ARG001 (a warm start from numbers is refused)
) -> "SeriesClassifier":
    """Make the candidate's network with its initial weights."""
    from rnnmodels.classifiers.series_classifier import SeriesClassifier

    layout = read_layout(shards)
    sizes = {"num_channels": layout["num_channels"], "num_classes": layout["num_classes"]}
    return SeriesClassifier(candidate.model, **sizes, seed=candidate.training.seed)
