"""Small language models, and texts in which something can be learned."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from rnnmodels.language.language_config import LanguageArchitecture
from rnnmodels.language.language_model import LanguageModel

VOCABULARY_SIZE = 12


@pytest.fixture
def make_language_model() -> Callable[..., LanguageModel]:
    """A function that makes a small language model; keywords override the architecture."""

    def make(seed: int = 1, **architecture: object) -> LanguageModel:
        small = {"embedding_size": 6, "hidden_size": 8, "output_dropout": 0.0, "locked_dropout": 0.0} | architecture
        model = LanguageModel(LanguageArchitecture(**small), vocabulary_size=VOCABULARY_SIZE, seed=seed)
        with torch.no_grad():  # as after some training: an untrained model says the same of all
            model.output_layer()[0].mul_(8)
        return model

    return make


@pytest.fixture
def documents() -> list[np.ndarray]:
    """Random documents of very different lengths."""
    generator = np.random.default_rng(5)
    return [generator.integers(1, VOCABULARY_SIZE, length) for length in (1, 700, 3, 40, 257, 2, 256, 90)]


@pytest.fixture
def book() -> np.ndarray:
    """A text that repeats itself, with some noise."""
    generator = np.random.default_rng(7)
    text = np.tile(np.arange(2, VOCABULARY_SIZE), 120)
    noisy = generator.random(len(text)) < 0.1
    return np.where(noisy, generator.integers(2, VOCABULARY_SIZE, len(text)), text)
