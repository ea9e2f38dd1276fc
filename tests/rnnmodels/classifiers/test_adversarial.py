"""Virtual adversarial training: the worst direction, what it costs a network to follow it, and the rows it reads."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnmodels.classifiers.adversarial import measure_virtual_adversarial_loss, without_dropout
from rnnmodels.classifiers.batches import Shards
from rnnmodels.classifiers.paired import PairedBatch, PairedShards
from rnnmodels.config import Training
from rnnmodels.training.checkpoint import newest_first
from rnnmodels.training.fitting import fit
from rnnmodels.training.results import EpochResult

DIRECTION_TE = torch.tensor([[0.0, 3.0], [4.0, 0.0]])


def measure(radius: float, *, embedded_TBE: Tensor | None = None) -> Tensor:
    """The loss of a linear model whose logit grows along one direction alone, at logits of 0."""
    embedded_TBE = torch.full((2, 1, 2), 0.5) if embedded_TBE is None else embedded_TBE
    weight = nn.Parameter(DIRECTION_TE.clone())

    def classify(shift_TBE: Tensor | None) -> Tensor:
        score_B = weight.sum() * 0 if shift_TBE is None else (shift_TBE * weight[:, None]).sum(dim=(0, 2))
        return torch.stack([torch.zeros_like(score_B).reshape(-1), score_B.reshape(-1)], dim=1)

    return measure_virtual_adversarial_loss(nn.Identity(), classify, embedded_TBE, radius=radius)


def divergence_at(score: float) -> float:
    """Kullback-Leibler divergence from even shares to those of logits (0, score)."""
    share = 1 / (1 + np.exp(-score))
    return float(np.log(0.5) - 0.5 * np.log(share) - 0.5 * np.log(1 - share))


@pytest.mark.parametrize("radius", [0.01, 0.1, 0.5])
def test_the_worst_direction_of_a_linear_model_is_that_of_its_weights(radius: float):
    # The embeddings have norm 1, the weights norm 5, so the worst move changes the logit by 5 * radius.
    assert measure(radius).item() == pytest.approx(divergence_at(5 * radius), rel=1e-3)


def test_padding_never_moves():
    padded_TBE = torch.tensor([[[0.0, 1.0]], [[0.0, 0.0]]])
    assert measure(0.1, embedded_TBE=padded_TBE).item() == pytest.approx(divergence_at(3 * 0.1), rel=1e-3)


def test_dropout_is_off_within_and_as_it_was_after(make_model: Callable):
    model = make_model(weight_dropout=0.5, locked_dropout=0.5, embedding_dropout=0.5, head_dropout=0.5).train()
    tokens, length = torch.randint(2, 30, (4, 9)), torch.full((4,), 9)
    with without_dropout(model):
        assert torch.equal(model(tokens, length), model(tokens, length))
    assert all(module.training for module in model.modules())
    assert not torch.equal(model(tokens, length), model(tokens, length))


def test_moved_embeddings_change_what_is_read(make_model: Callable):
    model = make_model().eval()
    tokens, length = torch.randint(2, 30, (4, 9)), torch.full((4,), 9)
    shift_TBE = torch.zeros(9, 4, 6)
    assert torch.equal(model(tokens, length, shift_TBE=shift_TBE), model(tokens, length))
    shift_TBE[0, 1] = 1
    changed = (model(tokens, length, shift_TBE=shift_TBE) != model(tokens, length)).any(dim=1)
    assert changed.tolist() == [False, True, False, False]


@pytest.fixture
def paired(make_shards: Callable) -> PairedShards:
    return PairedShards.of(make_shards("labelled", 60), make_shards("others", 100, seed=1))


def test_an_epoch_has_each_labelled_row_once_and_reads_on_in_the_others(paired: PairedShards):
    batch_size = 128
    others: list[int] = []
    for epoch in (1, 2, 3, 4):
        batches = list(paired.batches(batch_size, seed=1, epoch=epoch))
        assert sorted(row for batch in batches for row in batch.row) == list(range(60))
        assert len(batches) == paired.num_batches(batch_size)
        assert all(isinstance(batch, PairedBatch) for batch in batches)
        others += [int(row) for batch in batches if isinstance(batch, PairedBatch) for row in batch.unlabelled.row]
    assert sorted(others[:100]) == list(range(100))
    assert others[100:] != others[: len(others) - 100]


def test_without_a_seed_labelled_rows_come_alone(paired: PairedShards):
    assert not any(isinstance(batch, PairedBatch) for batch in paired.batches(64))


def test_both_sets_count_as_the_data(paired: PairedShards, make_shards: Callable):
    others = PairedShards.of(Shards(paired.paths[:2], paired.blocks), make_shards("more", 100, seed=2))
    assert paired.digest != others.digest


def test_rows_without_a_label_must_be_readable_too(paired: PairedShards):
    known = dataclasses.replace(paired.blocks[0], steps=np.minimum(paired.blocks[0].steps, 4))
    others = PairedShards.of(Shards((), (known,)), paired.unlabelled)
    others.check_ids(vocabulary_size=30, num_classes=2)
    Shards.check_ids(others, vocabulary_size=5, num_classes=2)
    with pytest.raises(ValueError, match="token id"):
        others.check_ids(vocabulary_size=5, num_classes=2)


def test_an_interrupted_fit_ends_as_an_uninterrupted_one(make_model: Callable, paired: PairedShards, tmp_path: Path):
    training = Training(epochs=3, batch_tokens=128, adversarial_weight=1, ema_decay=0.9, device="cpu")

    def run(folder: Path, *, only_one_epoch: bool = False) -> dict[str, Tensor]:
        model = make_model(ngram_ratios=2)
        model.ngrams.learn(paired)
        for result in fit(model, paired, paired.unlabelled, training, checkpoints=folder, resume=True):
            if only_one_epoch and isinstance(result, EpochResult):
                break
        return dict(model.state_dict())

    whole = run(tmp_path / "whole")
    run(tmp_path / "parts", only_one_epoch=True)
    assert [path.name[:11] for path in newest_first(tmp_path / "parts")] == ["epoch-00001"]
    resumed = run(tmp_path / "parts")
    assert all(torch.equal(weight, resumed[name]) for name, weight in whole.items())


def test_the_weight_decides_whether_rows_without_a_label_count(make_model: Callable, paired: PairedShards):
    model = make_model(embedding_dropout=0, locked_dropout=0, head_dropout=0)
    batch = next(iter(paired.batches(128, seed=1, epoch=1)))
    torch.manual_seed(1)
    losses = [model.loss(batch, Training(adversarial_weight=weight)).item() for weight in (0.0, 1.0, 2.0)]
    assert losses[0] < losses[1] < losses[2]
