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


@pytest.mark.parametrize("architecture", [{"hidden_size": 9}, {"embedding_size": 7}])
def test_a_language_model_of_other_sizes_is_refused(make_model: MakeModel, tmp_path: Path, architecture: dict) -> None:
    save_language_model(tmp_path, **architecture)
    with pytest.raises(ValueError, match="the language models have weights of shape"):
        start_from_language_models(make_model(), [tmp_path])


def test_a_language_model_of_fewer_layers_is_refused(make_model: MakeModel, tmp_path: Path) -> None:
    save_language_model(tmp_path)
    with pytest.raises(ValueError, match="has no such weights"):
        start_from_language_models(make_model(num_layers=2), [tmp_path])
