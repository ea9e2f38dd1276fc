from pathlib import Path

import pytest
import torch

from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.classifiers.series_classifier import SeriesClassifier
from rnnmodels.classifiers.series_config import SeriesArchitecture
from rnnmodels.classifiers.warm_start import start_from, start_series_from
from rnnmodels.config import Architecture
from rnnmodels.training.checkpoint import save_model

SMALL = Architecture(cell="gru", embedding_size=4, hidden_size=4)


def saved(folder: Path, architecture: Architecture = SMALL) -> SequenceClassifier:
    model = SequenceClassifier(architecture, vocabulary_size=5, num_classes=2, seed=1)
    torch.nn.init.uniform_(model.head.bias)
    save_model(model, folder)
    return model


def test_tokens_and_classes_carry_their_weights_to_other_ids(tmp_path: Path):
    earlier = saved(tmp_path)
    model = SequenceClassifier(SMALL, vocabulary_size=6, num_classes=3, seed=2)
    fresh = {name: weight.clone() for name, weight in model.state_dict().items()}

    assert start_from(model, tmp_path, token_ids=[0, 1, 4, -1, 2, 3], class_ids=[1, -1, 0]) == ""

    assert torch.equal(model.embedding.weight[[0, 1, 2, 4, 5]], earlier.embedding.weight[[0, 1, 4, 2, 3]])
    assert torch.equal(model.embedding.weight[3], fresh["embedding.weight"][3])
    assert torch.equal(model.head.weight[[0, 2]], earlier.head.weight[[1, 0]])
    assert torch.equal(model.head.bias[[0, 2]], earlier.head.bias[[1, 0]])
    assert torch.equal(model.head.weight[1], fresh["head.weight"][1])
    assert torch.equal(model.encoder.state_dict()[FIRST], earlier.encoder.state_dict()[FIRST])


def test_a_model_with_the_same_ids_starts_as_the_earlier_one_ended(tmp_path: Path):
    earlier = saved(tmp_path)
    model = SequenceClassifier(
        Architecture(cell="gru", embedding_size=4, hidden_size=4, head_dropout=0.5), vocabulary_size=5, num_classes=2
    )

    assert start_from(model, tmp_path, token_ids=range(5), class_ids=range(2)) == ""

    tokens, length = torch.tensor([[2, 3, 4]]), torch.tensor([3])
    assert torch.equal(model.eval()(tokens, length), earlier.eval()(tokens, length))


def test_another_architecture_starts_afresh(tmp_path: Path):
    saved(tmp_path, Architecture(cell="lstm", embedding_size=4, hidden_size=4))
    model = SequenceClassifier(SMALL, vocabulary_size=5, num_classes=2, seed=2)
    fresh = {name: weight.clone() for name, weight in model.state_dict().items()}

    assert start_from(model, tmp_path, token_ids=range(5), class_ids=range(2)) == "cell = lstm, not gru"
    assert all(torch.equal(weight, fresh[name]) for name, weight in model.state_dict().items())


FIRST = "layers.0.directions.0.weight_hh_l0"


FACTOR, SHIFT = torch.tensor([1.5, 1.0, 0.2]), torch.tensor([0.3, 0.0, -2.0])
LENGTH = torch.tensor([7, 3])


def saved_series(folder: Path, architecture: SeriesArchitecture) -> SeriesClassifier:
    model = SeriesClassifier(architecture, num_channels=3, num_classes=2, seed=1)
    torch.nn.init.uniform_(model.head.bias)
    save_model(model, folder)
    return model.eval()


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("projection_size", [0, 5])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_numbers_in_new_units_are_classified_as_they_were(
    tmp_path: Path, cell: str, projection_size: int, num_layers: int
):
    architecture = SeriesArchitecture(
        cell=cell, hidden_size=4, projection_size=projection_size, num_layers=num_layers, bidirectional=True
    )
    earlier = saved_series(tmp_path, architecture)
    model = SeriesClassifier(architecture, num_channels=3, num_classes=2, seed=2)
    order = [2, 0, 1]

    ids = {"channel_ids": order, "class_ids": [1, 0]}
    assert start_series_from(model, tmp_path, **ids, factor_C=FACTOR.tolist(), shift_C=SHIFT.tolist()) == ""

    x_BTC = torch.randn(2, 7, 3)
    now, then = model.eval()(x_BTC[..., order], LENGTH), earlier(x_BTC * FACTOR + SHIFT, LENGTH)
    assert torch.allclose(now, then[:, [1, 0]], atol=1e-5)


@pytest.mark.parametrize("projection_size", [0, 5])
def test_a_channel_that_rests_at_its_centre_may_go_and_new_ones_have_weights_of_their_own(
    tmp_path: Path, projection_size: int
):
    architecture = SeriesArchitecture(hidden_size=4, projection_size=projection_size)
    earlier = saved_series(tmp_path, architecture)
    model = SeriesClassifier(architecture, num_channels=2, num_classes=3, seed=2)
    first = "projection.weight" if projection_size else "encoder.layers.0.directions.0.weight_ih_l0"
    fresh = model.state_dict()[first][:, 0].clone()
    same = {"factor_C": [1, 1, 1], "shift_C": [0, 0, 0]}

    assert start_series_from(model, tmp_path, channel_ids=[-1, 2], class_ids=[0, -1, 1], **same) == ""

    assert torch.equal(model.state_dict()[first][:, 0], fresh)
    x_BT = torch.randn(2, 7)
    resting = torch.zeros(2, 7)
    now = model.eval()(torch.stack([resting, x_BT], dim=-1), LENGTH)
    then = earlier(torch.stack([resting, resting, x_BT], dim=-1), LENGTH)
    assert torch.allclose(now[:, [0, 2]], then, atol=1e-6)


def test_a_classifier_of_sequences_of_another_architecture_starts_afresh(tmp_path: Path):
    saved_series(tmp_path, SeriesArchitecture(hidden_size=4))
    model = SeriesClassifier(SeriesArchitecture(hidden_size=6, input_noise=0.3), num_channels=3, num_classes=2)

    same = {"channel_ids": range(3), "class_ids": range(2), "factor_C": [1] * 3, "shift_C": [0] * 3}
    assert start_series_from(model, tmp_path, **same) == "hidden_size = 4, not 6"
