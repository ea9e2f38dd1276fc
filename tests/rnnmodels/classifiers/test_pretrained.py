"""A classifier that starts from language models reads as they do."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.classifiers.pretrained import start_from_language_models
from rnnmodels.language.language_config import LanguageArchitecture
from rnnmodels.language.language_model import LanguageModel
from rnnmodels.training.checkpoint import save_model

MakeModel = Callable[..., SequenceClassifier]


def save_language_model(folder: Path, *, seed: int = 5, **architecture: object) -> LanguageModel:
    sizes = {"cell": "gru", "embedding_size": 6, "hidden_size": 8} | architecture
    model = LanguageModel(LanguageArchitecture(**sizes), vocabulary_size=30, seed=seed)
    folder.mkdir(exist_ok=True)
    save_model(model, folder)
    return model


@pytest.mark.parametrize("architecture", [{}, {"num_layers": 2}, {"cell": "lstm"}])
def test_the_states_of_both_are_the_same(make_model: MakeModel, tmp_path: Path, architecture: dict) -> None:
    language_model = save_language_model(tmp_path, tied=True, **architecture).eval()
    model = make_model(**architecture).eval()
    start_from_language_models(model, [tmp_path])
    tokens_TB = torch.randint(0, 30, (7, 3))
    states_TBH = model.encoder(model.embedding(tokens_TB), torch.tensor([7, 7, 7]))
    torch.testing.assert_close(states_TBH, language_model.read(tokens_TB).hidden)


@pytest.mark.parametrize("architecture", [{}, {"num_layers": 2}, {"cell": "lstm"}])
def test_each_direction_has_the_states_of_its_language_model(
    make_model: MakeModel, tmp_path: Path, architecture: dict
) -> None:
    folders = [tmp_path / "forward", tmp_path / "backward"]
    forward, backward = (save_language_model(folder, **architecture, seed=5 + n) for n, folder in enumerate(folders))
    model = make_model(bidirectional=True, embedding_size=12, **architecture).eval()
    start_from_language_models(model, folders)
    tokens_TB = torch.randint(0, 30, (7, 3))
    states_TBH = model.encoder(model.embedding(tokens_TB), torch.tensor([7, 7, 7]))
    expected = [forward.eval().read(tokens_TB).hidden, backward.eval().read(tokens_TB.flip(0)).hidden.flip(0)]
    torch.testing.assert_close(states_TBH, torch.cat(expected, dim=-1))


@pytest.mark.parametrize("architecture", [{}, {"cell": "lstm", "bidirectional": True}, {"cell": "transformer"}])
def test_columns_of_its_own_come_first_and_keep_their_weights(
    make_model: MakeModel, tmp_path: Path, architecture: dict
) -> None:
    num_models = 1 + ("bidirectional" in architecture)
    one_way = {name: value for name, value in architecture.items() if name != "bidirectional"}
    folders = [tmp_path / str(number) for number in range(num_models)]
    sources = [save_language_model(folder, **one_way) for folder in folders]
    model, fresh = (make_model(embedding_size=2 + 6 * num_models, **architecture) for _ in range(2))
    start_from_language_models(model, folders)
    assert torch.equal(model.embedding.weight[:, :2], fresh.embedding.weight[:, :2])
    learned = torch.cat([source.embedding.weight for source in sources], dim=1)
    assert torch.equal(model.embedding.weight[:, 2:], learned)
    is_transformer = architecture.get("cell") == "transformer"
    reader = "encoder.project.weight" if is_transformer else "encoder.layers.0.directions.0.weight_ih_l0"
    weight, initial, source = (one.state_dict()[reader] for one in (model, fresh, sources[0]))
    assert torch.equal(weight[:, :2], initial[:, :2])
    assert torch.equal(weight[:, 2:8], source)
    assert not weight[:, 8:].any()


@pytest.mark.parametrize("architecture", [{"hidden_size": 9}, {"embedding_size": 7}])
def test_a_language_model_of_other_sizes_is_refused(make_model: MakeModel, tmp_path: Path, architecture: dict) -> None:
    save_language_model(tmp_path, **architecture)
    with pytest.raises(ValueError, match="the language models have weights of shape"):
        start_from_language_models(make_model(), [tmp_path])


def test_a_language_model_of_fewer_layers_is_refused(make_model: MakeModel, tmp_path: Path) -> None:
    save_language_model(tmp_path)
    with pytest.raises(ValueError, match="has no such weights"):
        start_from_language_models(make_model(num_layers=2), [tmp_path])
