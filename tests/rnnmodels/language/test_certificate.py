"""The certificate passes for a sound model, and tells when documents change each other."""

import numpy as np
import pytest
import torch

from rnnmodels.language.certificate import certify_independence
from rnnmodels.language.language_config import LanguageArchitecture
from rnnmodels.language.language_model import LanguageModel
from rnnmodels.language.next_token_model import Read


def draw_model(**architecture: object) -> LanguageModel:
    network = LanguageArchitecture(**{"hidden_size": 8, "embedding_size": 4} | architecture)
    return LanguageModel(network, vocabulary_size=9, seed=2)


def draw_documents() -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.integers(1, 9, length) for length in (40, 1, 300, 7, 20)]


@pytest.mark.parametrize("architecture", [{"cell": "lstm", "num_layers": 2}, {"cell": "gru", "tied": True}])
def test_documents_of_a_sound_model_do_not_change_each_other(architecture: dict):
    certificate = certify_independence(draw_model(**architecture), draw_documents())

    assert certificate.passed
    assert set(certificate.deviations) == {"batch_size", "batch_mates", "order", "parts"}
    assert max(certificate.deviations.values()) < 1e-5
    assert certificate.num_sequences == 5


def test_a_model_whose_batch_mates_matter_does_not_pass(monkeypatch: pytest.MonkeyPatch):
    read = LanguageModel.read

    def leaking(self: LanguageModel, tokens: torch.Tensor, states: list | None = None) -> Read:
        found = read(self, tokens, states)
        return found._replace(features=found.features + found.features.mean(dim=1, keepdim=True))

    monkeypatch.setattr(LanguageModel, "read", leaking)

    certificate = certify_independence(draw_model(), draw_documents())

    assert not certificate.passed
    assert certificate.deviations["batch_mates"] > 1e-3


def test_nothing_certifies_nothing():
    with pytest.raises(ValueError, match="got no documents"):
        certify_independence(draw_model(), [])
