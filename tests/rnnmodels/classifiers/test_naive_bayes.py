"""The head start of the embedding."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnmodels.classifiers.batches import Batch, Shards, open_shards
from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.classifiers.naive_bayes import measure_class_ratios, start_from_class_ratios
from rnnmodels.config import Architecture


def shards_of(sequences: list[list[int]], targets: list[int]) -> Shards:
    width = max(map(len, sequences))
    tokens = np.array([sequence + [0] * (width - len(sequence)) for sequence in sequences], np.uint16)
    lengths = np.array(list(map(len, sequences)), np.uint32)
    return Shards((), (Batch(np.arange(len(sequences)), tokens, lengths, np.array(targets, np.uint16)),))


def test_ratios_are_those_of_a_count_by_hand():
    # Token 2 is in all three texts of class 1, token 3 in one of each class, token 4 too rare to count.
    shards = shards_of([[2, 2, 3], [2], [2, 4], [3], [3]], [1, 1, 1, 0, 0])

    ratios = measure_class_ratios(shards, vocabulary_size=6, num_classes=2)

    # Smoothed texts: class 0 holds 1 1 1 3 1 1 (8), class 1 holds 1 1 4 2 2 1 (11).
    expected = np.log([[1 / 8, 4 / 11], [3 / 8, 2 / 11]])
    expected -= expected.mean(axis=1, keepdims=True)
    assert ratios[2:4] == pytest.approx(expected)
    assert not ratios[[0, 1, 4, 5]].any()


def test_padding_has_no_class():
    shards = shards_of([[2], [2, 3, 4, 5], [2], [2]], [0, 1, 0, 0])

    assert not measure_class_ratios(shards, vocabulary_size=6, num_classes=2)[0].any()


@pytest.mark.parametrize("embedding_size", [1, 2, 8])
def test_the_first_columns_tell_the_class_before_any_training(
    shard_files: Callable[..., list[Path]], embedding_size: int
):
    shards = open_shards(shard_files("train", 200))
    architecture = Architecture(embedding_size=embedding_size, hidden_size=4)
    model = SequenceClassifier(architecture, vocabulary_size=30, num_classes=2)
    before = model.embedding.weight.detach().clone()

    start_from_class_ratios(model, shards, scale=1.0)

    after = model.embedding.weight.detach()
    assert after[2, 0] < -0.5  # token 2 marks class 1
    assert torch.equal(after[:, 2:], before[:, 2:])
