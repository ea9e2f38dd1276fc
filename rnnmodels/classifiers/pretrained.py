"""Start a classifier from language models that read the same token ids, one for each direction it reads in.

Howard, Ruder 2018, https://arxiv.org/abs/1801.06146.
Shapes: V tokens, F input features of a layer, G gates of all hidden units.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.language.language_model import LanguageModel
from rnnmodels.training.checkpoint import load_model

Weights = Mapping[str, Tensor]


@torch.no_grad()
def start_from_language_models(model: SequenceClassifier, folders: Sequence[Path]) -> None:
    """Copy embedding and encoder of saved language models into a new classifier: forward, then backward.

    Each direction gets a share of every embedding and at first reads that alone, so its states are those of its
    language model. Raises ValueError for language models of other sizes.
    """
    sources = [load_model(LanguageModel, folder).state_dict() for folder in folders]
    start = {
        name: _join_embeddings(sources) if name.startswith("embedding.") else _find_weight(name, sources)
        for name in model.state_dict()
        if name.startswith(("embedding.", "encoder."))
    }
    own = model.state_dict()
    for name, weight in start.items():
        if own[name].shape != weight.shape:
            found, expected = tuple(weight.shape), tuple(own[name].shape)
            raise ValueError(f"{name}: the language models have weights of shape {found}, expected {expected}")
    model.load_state_dict(own | start)


def _join_embeddings(sources: Sequence[Weights]) -> Tensor:
    return torch.cat([source["embedding.weight"] for source in sources], dim=1)


def _find_weight(name: str, sources: Sequence[Weights]) -> Tensor:
    """A direction's weight from its language model; what comes from the other direction counts nothing at first."""
    is_backward = ".directions.1." in name
    weight = sources[is_backward].get(name.replace(".directions.1.", ".directions.0."))
    if weight is None:
        raise ValueError(f"{name}: the language model has no such weights")
    if len(sources) == 1 or "weight_ih" not in name:
        return weight
    others_GF = torch.zeros_like(weight)
    return torch.cat([others_GF, weight] if is_backward else [weight, others_GF], dim=1)
