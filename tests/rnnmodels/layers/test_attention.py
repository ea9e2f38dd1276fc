"""The transformer that recurrent layers are compared with keeps their promises."""

from collections.abc import Callable

import pytest
import torch

from rnnmodels.classifiers.batches import Shards
from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.config import Architecture, Training
from rnnmodels.layers.attention import TransformerEncoder, rotate
from rnnmodels.training.fitting import fit
from rnnmodels.training.results import EpochResult


def small(*, bidirectional: bool = False, context: int = 4) -> TransformerEncoder:
    torch.manual_seed(1)
    settings = {"hidden_size": 16, "num_heads": 2, "num_layers": 2, "context": context, "bidirectional": bidirectional}
    encoder = TransformerEncoder(Architecture(cell="transformer", **settings), 5).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.mul_(8)
    return encoder


@pytest.mark.parametrize("bidirectional", [False, True])
def test_neither_padding_nor_batch_mates_change_a_real_step(*, bidirectional: bool) -> None:
    encoder, x = small(bidirectional=bidirectional), torch.randn(9, 3, 5)
    length = torch.tensor([4, 9, 1])
    together = encoder(x, length)
    for row, steps in enumerate(length.tolist()):
        alone = encoder(x[:steps, row : row + 1], torch.tensor([steps]))
        torch.testing.assert_close(together[:steps, row], alone[:, 0], atol=1e-5, rtol=1e-5)


def test_one_way_sees_nothing_ahead_and_both_ways_see_all() -> None:
    x, length = torch.randn(8, 1, 5), torch.tensor([8])
    changed = x.clone()
    changed[5:] = 0
    for bidirectional in (False, True):
        encoder = small(bidirectional=bidirectional)
        same = torch.isclose(encoder(x, length)[:5], encoder(changed, length)[:5], atol=1e-6).all()
        assert bool(same) is not bidirectional


@pytest.mark.parametrize("part", [1, 2, 3, 7])
def test_reading_in_parts_is_reading_at_once(part: int) -> None:
    encoder, x = small(), torch.randn(12, 2, 5)
    whole, _ = encoder.advance(x, None)
    states, outputs = None, []
    for steps in x.split(part):
        output, states = encoder.advance(steps, states)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs), whole, atol=1e-5, rtol=1e-5)
    assert all(len(remembered) <= 4 for remembered, _ in states)
    torch.testing.assert_close(encoder(x, torch.tensor([12, 12])), whole, atol=1e-5, rtol=1e-5)


def test_an_emptied_memory_is_no_memory() -> None:
    encoder, x = small(), torch.randn(6, 2, 5)
    _, states = encoder.advance(x[:3], None)
    emptied = [(remembered * 0, real * 0) for remembered, real in states]
    torch.testing.assert_close(
        encoder.advance(x[3:], emptied)[0], encoder.advance(x[3:], None)[0], atol=1e-5, rtol=1e-5
    )


def test_turned_units_tell_distances_alone() -> None:
    query, key = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    near = [(rotate(query, first=at + 3) * rotate(key, first=at)).sum().item() for at in (0, 11, 50)]
    assert near == pytest.approx([near[0]] * 3, abs=1e-5)


def test_a_transformer_classifies_too(make_shards: Callable[..., Shards]) -> None:
    architecture = Architecture(cell="transformer", hidden_size=16, num_heads=2, embedding_size=8, bidirectional=True)
    model = SequenceClassifier(architecture, vocabulary_size=30, num_classes=2)
    shards = make_shards("train", 200)
    training = Training(epochs=6, batch_tokens=256, learning_rate=0.01, patience=6, device="cpu")
    epochs = [one for one in fit(model, shards, shards, training) if isinstance(one, EpochResult)]
    assert epochs[-1].valid_metrics["accuracy"] > 0.9


def test_heads_divide_the_units() -> None:
    with pytest.raises(ValueError, match="a transformer needs a multiple of 2"):
        Architecture(cell="transformer", hidden_size=30, num_heads=4)
