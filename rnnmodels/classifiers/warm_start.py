"""Start from the weights of an earlier classifier: tokens, channels and classes may be others, or have other places.

Shapes: C channels, F rows of a layer's weights.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.classifiers.series_classifier import SeriesClassifier
from rnnmodels.training.checkpoint import load_model
from rnnmodels.training.warm_start import UNKNOWN, find_difference, take_over_weights

EMBEDDING, PROJECTION, HEAD = "embedding.", "projection.", "head."
FIRST_LAYER, TRANSFORMER_INPUT = "encoder.layers.0.directions.", "encoder.project."


def start_from(model: SequenceClassifier, folder: Path, *, token_ids: Sequence[int], class_ids: Sequence[int]) -> str:
    """Copy a saved model's weights into a new one; returns how its architecture differs, and then changes nothing.

    `token_ids` (vocabulary) and `class_ids` (classes) are the ids in the saved model of each token and class of the
    new one, -1 for what it did not know: these keep their initial weights.
    """
    earlier = load_model(SequenceClassifier, folder)
    difference = find_difference(model.architecture, earlier.architecture)
    if not difference:
        # The n-grams that it knows are counted anew in the new training texts.
        weights = {name: weight.data for name, weight in earlier.named_parameters()}
        ids_of = {EMBEDDING: (0, token_ids), HEAD: (0, class_ids)}
        if model.ngrams is not None:
            inputs = _find_inputs(model, earlier, class_ids)
            ids_of |= dict.fromkeys((FIRST_LAYER, TRANSFORMER_INPUT), (1, inputs))
        take_over_weights(model, weights, ids_of)
    return difference


def start_series_from(
    model: SeriesClassifier,
    folder: Path,
    *,
    channel_ids: Sequence[int],
    class_ids: Sequence[int],
    factor_C: Sequence[float],
    shift_C: Sequence[float],
) -> str:
    """Copy a saved model's weights, as `start_from` does, so that numbers in new units are read as they were.

    A number x of one of the saved model's channels is x * factor + shift in the units that it was trained in.
    """
    earlier = load_model(SeriesClassifier, folder)
    difference = find_difference(model.architecture, earlier.architecture)
    if not difference:
        input_layer = PROJECTION if model.architecture.projection_size else FIRST_LAYER
        weights = earlier.state_dict()
        for name in [name for name in weights if _reads_input(name, input_layer)]:
            bias = name.replace("weight", "bias")
            units = torch.tensor(factor_C, dtype=torch.float64), torch.tensor(shift_C, dtype=torch.float64)
            weights[name], weights[bias] = _change_units(weights[name], weights[bias], *units)
        take_over_weights(model, weights, {input_layer: (1, channel_ids), HEAD: (0, class_ids)})
    return difference


def _find_inputs(model: SequenceClassifier, earlier: SequenceClassifier, class_ids: Sequence[int]) -> list[int]:
    """Where an earlier encoder has each input of the new one: n-grams' ratios by class, then the embedding."""
    assert model.ngrams is not None
    assert earlier.ngrams is not None
    first = earlier.ngrams.output_size
    ratios = [
        place if place == UNKNOWN else length * earlier.num_classes + place
        for length in range(model.ngrams.longest)
        for place in class_ids
    ]
    return [*ratios, *range(first, first + model.embedding.embedding_dim)]


def _reads_input(name: str, input_layer: str) -> bool:
    return name.startswith(input_layer) and "weight" in name and "weight_hh" not in name


def _change_units(weight_FC: Tensor, bias_F: Tensor, factor_C: Tensor, shift_C: Tensor) -> tuple[Tensor, Tensor]:
    """Fold an affine change of the input into a layer; exact but for rounding."""
    weight = weight_FC.double()
    return (weight * factor_C).to(weight_FC), (bias_F.double() + weight @ shift_C).to(bias_F)
