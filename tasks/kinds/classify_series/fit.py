"""Classifiers of sequences as candidates; data and predictions are those of every classifier."""

from typing import TYPE_CHECKING

from pydantic import Field

from rnnmodels.classifiers.series_config import SeriesArchitecture, SeriesTraining
from tasks.contract.candidate import Candidate
from tasks.contract.initial import describe_start, open_initial
from tasks.labelled.fit import finish_model, open_data, read_layout
from tasks.progress import Progress, emit
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
    initial: Artefact | None = None,
) -> "SeriesClassifier":
    """Make the candidate's network with its initial weights, a function of seed and `initial`."""
    from rnnmodels.classifiers.series_classifier import SeriesClassifier

    layout = read_layout(shards)
    sizes = {"num_channels": layout["num_channels"], "num_classes": layout["num_classes"]}
    model = SeriesClassifier(candidate.model, **sizes, seed=candidate.training.seed)
    if initial is not None:
        _start_from_champion(model, candidate, initial)
    return model


def _start_from_champion(model: "SeriesClassifier", candidate: SequenceCandidate, initial: Artefact) -> None:
    from rnnmodels.classifiers.warm_start import start_series_from

    folder, matched = open_initial(initial)
    difference = start_series_from(
        model,
        folder,
        channel_ids=matched["channels"],
        class_ids=matched["classes"],
        factor_C=matched["factor"],
        shift_C=matched["shift"],
    )
    emit(Progress("fit", candidate.name, note=describe_start(difference)))
