"""A classifier that starts from a language model reads as that does."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.classifiers.pretrained import start_from_language_model
from rnnmodels.language.language_config import LanguageArchitecture
from rnnmodels.language.language_model import LanguageModel
from rnnmodels.training.checkpoint import save_model

MakeModel = Callable[..., SequenceClassifier]


def save_language_model(folder: Path, **architecture: object) -> LanguageModel:
    sizes = {"cell": "gru", "embedding_size": 6, "hidden_size": 8} | architecture
    model = LanguageModel(LanguageArchitecture(**sizes), vocabulary_size=30, seed=5)
    save_model(model, folder)
    return model


@pytest.mark.parametrize("architecture", [{}, {"num_layers": 2}, {"cell": "lstm"}])
def test_the_states_of_both_are_the_same(make_model: MakeModel, tmp_path: Path, architecture: dict) -> None:
    language_model = save_language_model(tmp_path, tied=True, **architecture).eval()
    model = make_model(**architecture).eval()
    start_from_language_model(model, tmp_path)
    tokens_TB = torch.randint(0, 30, (7, 3))
    states_TBH = model.encoder(model.embedding(tokens_TB), torch.tensor([7, 7, 7]))
    torch.testing.assert_close(states_TBH, language_model.read(tokens_TB).hidden)


def test_the_backward_direction_keeps_its_initial_weights(make_model: MakeModel, tmp_path: Path) -> None:
    save_language_model(tmp_path)
    model, fresh = make_model(bidirectional=True), make_model(bidirectional=True)
    start_from_language_model(model, tmp_path)
    for name, weight in fresh.named_parameters():
        if weight.ndim == 1:  # biases start alike everywhere
            continue
        is_own = not name.startswith(("embedding.", "encoder.")) or "directions.1." in name
        assert torch.equal(model.state_dict()[name], weight) is is_own, name


def test_a_language_model_of_other_sizes_is_refused(make_model: MakeModel, tmp_path: Path) -> None:
    save_language_model(tmp_path, hidden_size=9)
    with pytest.raises(ValueError, match="the language model has no such weights"):
        start_from_language_model(make_model(), tmp_path)
