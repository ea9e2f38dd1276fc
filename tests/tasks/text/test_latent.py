import numpy as np
import pytest
from scipy.sparse import csr_matrix

from tasks.text.latent import append_latent, find_latent_directions, fold_latent


def draw_features(num_texts: int = 30, num_ngrams: int = 12) -> csr_matrix:
    return csr_matrix(np.random.default_rng(4).random((num_texts, num_ngrams)).astype(np.float32))


@pytest.mark.parametrize("num_columns", [1, 3])
def test_one_weight_per_ngram_says_what_latent_dimensions_say(num_columns: int):
    features = draw_features()
    directions = find_latent_directions(features, 5)
    weights = np.random.default_rng(5).normal(size=(num_columns, 12 + 5))

    folded = fold_latent(weights, directions)

    assert folded.shape == (12, num_columns)
    assert features @ folded == pytest.approx(append_latent(features, directions) @ weights.T, abs=1e-4)


def test_directions_are_those_of_a_full_decomposition():
    features = draw_features()
    ours = find_latent_directions(features, 3)
    theirs = np.linalg.svd(features.toarray(), full_matrices=False)[2][:3]
    assert np.abs((ours * theirs).sum(axis=1)) == pytest.approx(np.ones(3), abs=0.01)  # either may point backwards


@pytest.mark.parametrize(("num_texts", "num_ngrams", "expected"), [(30, 4, 4), (3, 12, 3), (30, 1, 1), (1, 12, 1)])
def test_there_are_no_more_dimensions_than_texts_and_ngrams_allow(num_texts: int, num_ngrams: int, expected: int):
    assert find_latent_directions(draw_features(num_texts, num_ngrams), 300).shape == (expected, num_ngrams)
