"""Start from the weights of an earlier model, token by token: the two may know different vocabularies and classes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.training.checkpoint import load_model

EMBEDDING, HEAD = "embedding.", "head."
UNKNOWN = -1


def start_from(model: SequenceClassifier, folder: Path, *, token_ids: Sequence[int], class_ids: Sequence[int]) -> bool:
    """Copy a saved model's weights into a new one of the same architecture; returns False, changing nothing, if not.

    `token_ids` (vocabulary) and `class_ids` (classes) are the ids in the saved model of each token and class of the
    new one, -1 for what it did not know: these keep their initial weights.
    """
    earlier = load_model(SequenceClassifier, folder)
    if _structure(model) != _structure(earlier):
        return False
    weights = model.state_dict()
    for name, weight in earlier.state_dict().items():
        if name.startswith(EMBEDDING):
            weights[name] = _with_known_rows(weights[name], weight, token_ids)
        elif name.startswith(HEAD):
            weights[name] = _with_known_rows(weights[name], weight, class_ids)
        else:
            weights[name] = weight
    model.load_state_dict(weights)
    return True


def _structure(model: SequenceClassifier) -> dict[str, object]:
    """What decides the shapes and the meaning of the weights; dropout does neither."""
    fields = model.architecture.model_dump(mode="json")
    return {name: value for name, value in fields.items() if not name.endswith("dropout")}


def _with_known_rows(initial: Tensor, earlier: Tensor, ids: Sequence[int]) -> Tensor:
    ids_N = torch.tensor(ids)
    known_N = ids_N != UNKNOWN
    rows = initial.clone()
    rows[known_N] = earlier[ids_N[known_N]]
    return rows
