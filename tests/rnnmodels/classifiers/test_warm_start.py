from pathlib import Path

import torch

from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.classifiers.warm_start import start_from
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

    assert start_from(model, tmp_path, token_ids=[0, 1, 4, -1, 2, 3], class_ids=[1, -1, 0])

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

    assert start_from(model, tmp_path, token_ids=range(5), class_ids=range(2))

    tokens, length = torch.tensor([[2, 3, 4]]), torch.tensor([3])
    assert torch.equal(model.eval()(tokens, length), earlier.eval()(tokens, length))


def test_another_architecture_starts_afresh(tmp_path: Path):
    saved(tmp_path, Architecture(cell="lstm", embedding_size=4, hidden_size=4))
    model = SequenceClassifier(SMALL, vocabulary_size=5, num_classes=2, seed=2)
    fresh = {name: weight.clone() for name, weight in model.state_dict().items()}

    assert not start_from(model, tmp_path, token_ids=range(5), class_ids=range(2))
    assert all(torch.equal(weight, fresh[name]) for name, weight in model.state_dict().items())


FIRST = "layers.0.directions.0.weight_hh_l0"
