"""Classifiers of texts as candidates: as of other rows, but that they may learn from texts without a label, too."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contract.initial import WEIGHTS, open_initial
from tasks.errors import InputError, quoted
from tasks.kinds.classify.candidate import FOLDERS, LANGUAGE_MODELS, TextCandidate
from tasks.labelled.fit import create_model as create_labelled
from tasks.labelled.fit import finish_model, make_classifier, open_shards_of, read_layout
from tasks.labelled.summaries import UNLABELLED
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

if TYPE_CHECKING:
    from rnnmodels.classifiers.batches import Shards
    from rnnmodels.classifiers.classifier import SequenceClassifier

__all__ = ["create_model", "finish_model", "open_data"]


def open_data(candidate: TextCandidate, shards: Artefact) -> "dict[str, Shards]":
    """Open what a candidate is trained and scored on.

    Raises InputError (E-TRN-007) where it is to learn from rows without a label, and there is none.
    """
    data = open_shards_of(shards)
    if not candidate.training.adversarial_weight:
        return data
    from rnnmodels.classifiers.paired import PairedShards

    if UNLABELLED not in data:
        raise InputError(
            "E-TRN-007",
            f"candidate {quoted(candidate.name)} has an adversarial_weight, but no row is without a label.",
            fix='add rows that source.split_column calls "unlabelled" and that repeat no other row, '
            "or set training.adversarial_weight = 0.",
        )
    return {**data, "train": PairedShards.of(data["train"], data[UNLABELLED])}


def create_model(
    candidate: TextCandidate, data: "dict[str, Shards]", shards: Artefact, initial: Artefact | None = None
) -> "SequenceClassifier":
    """Make the candidate's network; class ratios go into the columns that no language model fills."""
    if initial is None:
        return create_labelled(candidate, data, shards)
    _, matched = open_initial(initial)
    if LANGUAGE_MODELS not in matched:
        return create_labelled(candidate, data, shards, initial)
    from rnnmodels.classifiers.naive_bayes import start_from_class_ratios
    from rnnmodels.classifiers.pretrained import start_from_language_models

    scale = candidate.training.class_ratio_scale
    plain = candidate.training.model_copy(update={"class_ratio_scale": 0.0})
    model = make_classifier(candidate.model_copy(update={"training": plain}), data["train"], read_layout(shards))
    names = matched[LANGUAGE_MODELS]
    folders = [_open_weights(initial, folder) for folder in FOLDERS[: len(names)]]
    start_from_language_models(model, folders, token_ids=matched.get("tokens"))
    if scale and candidate.ratio_columns:
        start_from_class_ratios(model, data["train"], scale=scale, most_columns=candidate.ratio_columns)
    emit(Progress("fit", candidate.name, note=f"starts from {' and '.join(names)}"))
    return model


def _open_weights(initial: Artefact, folder: str) -> Path:
    """The checked folder of a language model's weights."""
    weights, _ = (initial.file(Path(folder, name).as_posix()) for name in WEIGHTS)
    return weights.parent
