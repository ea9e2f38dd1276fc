"""The certificate of invariance, and that it can fail."""

import pytest
import torch

from rnnmodels.classifiers.certificate import certify_invariance
from rnnmodels.layers import cells, pooling

VARIATIONS = {"batch_size", "batch_mates", "padding_content", "padding_length", "bucket_width", "packing"}


@pytest.mark.parametrize("pooling_kind", ["last", "mean", "max", "concat", "attention"])
@pytest.mark.parametrize(
    "encoder", [{}, {"num_layers": 2}, {"bidirectional": True}, {"bidirectional": True, "num_layers": 2}]
)
@pytest.mark.parametrize("cell", ["tanh", "relu", "gru", "lstm"])
def test_every_model_is_invariant(make_model, sequences, cell, encoder, pooling_kind):
    cell_options = {"cell": cell} if cell in ("gru", "lstm") else {"cell": "rnn", "nonlinearity": cell}
    model = make_model(pooling=pooling_kind, **cell_options, **encoder)
    certificate = certify_invariance(model, sequences)
    assert certificate.passed, certificate
    assert set(certificate.deviations) == VARIATIONS
    assert max(certificate.deviations.values()) <= certificate.tolerance == 1e-5
    assert certificate.num_sequences == len(sequences)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_transformer_is_invariant(make_model, sequences, bidirectional):
    model = make_model(cell="transformer", hidden_size=16, num_heads=2, context=4, bidirectional=bidirectional)
    certificate = certify_invariance(model, sequences)
    assert certificate.passed, certificate
    assert set(certificate.deviations) == VARIATIONS - {"packing"}


@pytest.mark.parametrize("kind", ["mean", "max", "concat", "attention"])
def test_pooling_without_its_mask_is_caught(make_model, sequences, monkeypatch, kind):
    model = make_model(pooling=kind)
    monkeypatch.setattr(pooling, "is_real_step", lambda length_B, steps: torch.ones(steps, len(length_B), dtype=bool))
    assert not certify_invariance(model, sequences).passed


@pytest.mark.parametrize("kind", ["last", "concat"])
def test_a_reversal_by_width_is_caught(make_model, sequences, monkeypatch, kind):
    def by_width(length_B, num_steps):
        return torch.arange(num_steps - 1, -1, -1)[:, None].expand(-1, len(length_B))

    model = make_model(pooling=kind, bidirectional=True)
    monkeypatch.setattr(cells, "reversed_order", by_width)
    assert not certify_invariance(model, sequences).passed


def test_a_certificate_needs_sequences(make_model):
    with pytest.raises(ValueError, match="at least one to certify with"):
        certify_invariance(make_model(), [])
