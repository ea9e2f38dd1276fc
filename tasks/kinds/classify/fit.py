"""Classifiers of texts as candidates: as of other rows, but that they may start from a language model."""

from typing import TYPE_CHECKING

from tasks.contract.initial import open_initial
from tasks.kinds.classify.candidate import LANGUAGE_MODEL, TextCandidate
from tasks.labelled.fit import create_model as create_labelled
from tasks.labelled.fit import finish_model, make_classifier, open_data, read_layout
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from rnnmodels.classifiers.batches import Shards
    from rnnmodels.classifiers.classifier import SequenceClassifier

__all__ = ["create_model", "finish_model", "open_data"]


def create_model(
    candidate: TextCandidate, data: "dict[str, Shards]", shards: Artefact, initial: Artefact | None = None
) -> "SequenceClassifier":
    """Make the candidate's network; what a language model learned of tokens is not overwritten by class ratios."""
    if initial is None:
        return create_labelled(candidate, data, shards)
    folder, matched = open_initial(initial)
    if LANGUAGE_MODEL not in matched:
        return create_labelled(candidate, data, shards, initial)
    from rnnmodels.classifiers.pretrained import start_from_language_model

    plain = candidate.training.model_copy(update={"class_ratio_scale": 0.0})
    model = make_classifier(candidate.model_copy(update={"training": plain}), data["train"], read_layout(shards))
    start_from_language_model(model, folder)
    emit(Progress("fit", candidate.name, note=f"starts from {matched[LANGUAGE_MODEL]}"))
    return model
