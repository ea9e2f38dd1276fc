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
from rnnmodels.training.warm_start import take_over

Weights = Mapping[str, Tensor]

EMBEDDING = "embedding.weight"
READS_EMBEDDING = ("encoder.layers.0.", "encoder.project.")


@torch.no_grad()
def start_from_language_models(
    model: SequenceClassifier, folders: Sequence[Path], *, token_ids: Sequence[Sequence[int]] | None = None
) -> None:
    """Copy embedding and encoder of saved language models into a new classifier: forward, then backward.

    Each direction reads only its own share of the embedding at first, so its states are those of its language model.
    Columns that the classifier's embedding has before all these keep their initial weights, and so do those that read
    them or ratios of n-grams. `token_ids` has for each language model the id in it of each token, -1 for one that it
    does not know, which keeps its initial weights; without them the ids are the classifier's. Raises ValueError for
    language models of other sizes.
    """
    sources = [load_model(LanguageModel, folder).state_dict() for folder in folders]
    start = {
        name: _keep_columns(
            name, own, _join_embeddings(own, sources, token_ids) if name == EMBEDDING else _find_weight(name, sources)
        )
        for name, own in model.state_dict().items()
        if name.startswith((EMBEDDING, "encoder."))
    }
    model.load_state_dict(model.state_dict() | start)


def _keep_columns(name: str, own: Tensor, weight: Tensor) -> Tensor:
    """Put columns that the classifier's embedding has of its own before those of language models."""
    has_rows = own.ndim > 1 and len(own) == len(weight) and name.startswith((EMBEDDING, *READS_EMBEDDING))
    if has_rows and own.shape[1] > weight.shape[1]:
        weight = torch.cat([own[:, : own.shape[1] - weight.shape[1]], weight], dim=1)
    if own.shape != weight.shape:
        found, expected = tuple(weight.shape), tuple(own.shape)
        raise ValueError(f"{name}: the language models have weights of shape {found}, expected {expected}")
    return weight


def _join_embeddings(own: Tensor, sources: Sequence[Weights], token_ids: Sequence[Sequence[int]] | None) -> Tensor:
    parts = [source[EMBEDDING] for source in sources]
    if token_ids is not None:
        widths = [part.shape[1] for part in parts]
        initial = own[:, own.shape[1] - sum(widths) :].split(widths, dim=1)
        parts = [take_over(one, part, {0: ids}) for one, part, ids in zip(initial, parts, token_ids, strict=True)]
    return torch.cat(parts, dim=1)


def _find_weight(name: str, sources: Sequence[Weights]) -> Tensor:
    """A direction's weight from its language model; what reads the other direction's share starts at zero."""
    is_backward = ".directions.1." in name
    weight = sources[is_backward].get(name.replace(".directions.1.", ".directions.0."))
    if weight is None:
        raise ValueError(f"{name}: the language model has no such weights")
    if len(sources) == 1 or "weight_ih" not in name:
        return weight
    others_GF = torch.zeros_like(weight)
    return torch.cat([others_GF, weight] if is_backward else [weight, others_GF], dim=1)
