"""Dropout with one mask over time, and of whole vocabulary entries."""

import pytest
import torch

from rnnmodels.layers.dropout import DropoutEmbedding, LockedDropout, drop_recurrent_weights


def test_locked_dropout_keeps_one_mask_over_time():
    torch.manual_seed(0)
    dropped = LockedDropout(0.5)(torch.ones(50, 4, 32))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert not torch.equal(dropped[0, 0], dropped[0, 1])


def test_embedding_dropout_drops_a_token_everywhere_or_nowhere():
    torch.manual_seed(0)
    embedding = DropoutEmbedding(40, 3, share=0.5)
    tokens = torch.randint(0, 40, (30, 8))
    vectors = embedding(tokens)
    kept = vectors.abs().sum(dim=-1) > 0
    for token in tokens.unique():
        assert kept[tokens == token].unique().numel() == 1
    assert 0.2 < kept.double().mean() < 0.8
    torch.testing.assert_close(vectors[kept], 2 * embedding.weight[tokens[kept]])


def test_dropout_does_nothing_in_evaluation():
    embedding = DropoutEmbedding(40, 3, share=0.5).eval()
    tokens = torch.arange(40)[:, None]
    assert torch.equal(embedding(tokens)[:, 0], embedding.weight)
    ones = torch.ones(5, 2, 3)
    assert LockedDropout(0.5).eval()(ones) is ones


def test_recurrent_weights_are_dropped_for_all_steps_and_rows_alike():
    torch.manual_seed(1)
    cell = torch.nn.GRU(3, 40)
    weight_x, weight_h, *biases = drop_recurrent_weights(cell, 0.25)
    assert (weight_h == 0).double().mean().item() == pytest.approx(0.25, abs=0.03)
    kept = weight_h != 0
    torch.testing.assert_close(weight_h[kept], cell.weight_hh_l0[kept] / 0.75)
    assert weight_x is cell.weight_ih_l0
    assert biases == [cell.bias_ih_l0, cell.bias_hh_l0]
    weight_h.sum().backward()
    assert ((cell.weight_hh_l0.grad != 0) == kept).all()


def test_nothing_is_dropped_without_training_or_share():
    cell = torch.nn.GRU(3, 4)
    assert drop_recurrent_weights(cell, 0) is None
    assert drop_recurrent_weights(cell.eval(), 0.5) is None
