"""A head start for the embedding: how much more often a token occurs in texts of one class than in those of others.

Source: Wang and Manning 2012, "Baselines and Bigrams", section 2.1 (log-count ratio over presence in a text).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnmodels.classifiers.batches import Batch, Shards
from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.classifiers.ngram_ratios import measure_ratios

# A rarer token's ratio says more about chance than about the class.
MIN_TEXTS = 3


def start_from_class_ratios(
    model: SequenceClassifier, train: Shards, *, scale: float, most_columns: int | None = None
) -> None:
    """Set the first embedding columns, one per class, to the tokens' centred log-count ratios times `scale`.

    With `most_columns`, those of further classes are left out.
    """
    ratios_VK = measure_class_ratios(train, vocabulary_size=model.vocabulary_size, num_classes=model.num_classes)
    weight_VE = model.embedding.weight
    num_columns = min(ratios_VK.shape[1], weight_VE.shape[1] if most_columns is None else most_columns)
    with torch.no_grad():
        weight_VE[:, :num_columns] = scale * ratios_VK[:, :num_columns]


def measure_class_ratios(train: Shards, *, vocabulary_size: int, num_classes: int) -> Tensor:
    """Log-count ratios of single tokens (vocabulary, classes); padding and tokens of fewer than three texts get 0."""
    texts_KV = np.zeros((num_classes, vocabulary_size))
    for block in train.blocks:
        token, target = _distinct_tokens(block)
        np.add.at(texts_KV, (target, token), 1)
    return measure_ratios(torch.from_numpy(texts_KV), min_texts=MIN_TEXTS)


def _distinct_tokens(block: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each token of each row once, with the row's class."""
    is_real = np.arange(block.steps.shape[1]) < block.length[:, None]
    position, step = np.nonzero(is_real)
    pairs = np.unique(position.astype(np.int64) << 32 | block.steps[position, step].astype(np.int64))
    return pairs & 0xFFFFFFFF, block.target[pairs >> 32].astype(np.int64)
