"""Scoring of shards and of plain sequences."""

import re

import numpy as np
import pytest
import torch

from rnnmodels.classifiers.batches import Shards
from rnnmodels.classifiers.inference import batches_by_length, predict_sequences, predict_shards

pytestmark = pytest.mark.numeric


def test_sequences_are_scored_in_input_order_whatever_the_batches(make_model, sequences):
    model = make_model()
    alone = [predict_sequences(model, [sequence], batch_steps=64) for sequence in sequences]
    for batch_tokens in (1, 100, 10_000):
        together = predict_sequences(model, sequences, batch_steps=batch_tokens)
        assert together.dtype == np.float32
        np.testing.assert_allclose(together, np.concatenate(alone), rtol=0, atol=1e-6)


def test_batches_by_length_pad_to_their_longest_within_the_budget(sequences):
    shapes = [batch.steps.shape for batch in batches_by_length(sequences, 100)]
    assert shapes == [(1, 80), (1, 64), (3, 33), (1, 1)]


def test_shards_and_sequences_give_the_same_logits(make_model, make_shards):
    model, shards = make_model(), make_shards("valid", 30)
    predictions = predict_shards(model, shards, batch_steps=64)
    assert sorted(predictions.row.tolist()) == list(range(30))
    assert predictions.target.tolist() == (predictions.row % 2).tolist()
    rows = [(tokens, length) for block in shards.blocks for tokens, length in zip(block.steps, block.length)]  # noqa: B905
    plain = predict_sequences(model, [tokens[:length] for tokens, length in rows], batch_steps=64)
    np.testing.assert_allclose(predictions.logits, plain, rtol=0, atol=1e-6)


def test_scoring_ignores_dropout_and_restores_the_mode(make_model, sequences):
    model = make_model(head_dropout=0.9).train()
    first = predict_sequences(model, sequences, batch_steps=64)
    assert np.array_equal(first, predict_sequences(model, sequences, batch_steps=64))
    assert model.training
    assert torch.is_grad_enabled()


def test_nothing_to_score_gives_no_logits(make_model):
    assert predict_sequences(make_model(), [], batch_steps=64).shape == (0, 2)
    assert predict_shards(make_model(), Shards((), ()), batch_steps=64).logits.shape == (0, 2)


def test_a_wrong_token_id_is_named(make_model):
    with pytest.raises(ValueError, match=r"^row 1: got token id 30, expected 0 to 29$"):
        predict_sequences(make_model(), [np.array([2, 3]), np.array([4, 30])], batch_steps=64)


def test_a_negative_token_id_is_named(make_model):
    with pytest.raises(ValueError, match=re.escape("row 0: got token id -1, expected 0 to 29")):
        predict_sequences(make_model(), [np.array([2, -1])], batch_steps=64)


def test_an_empty_sequence_is_named(make_model):
    with pytest.raises(ValueError, match=r"^sequence 1: got no steps, expected at least one$"):
        predict_sequences(make_model(), [np.array([2]), np.array([], dtype=np.int64)], batch_steps=64)
