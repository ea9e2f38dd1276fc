"""Latent dimensions of texts, for linear models: they are learned from texts without a label, too.

Texts that share no n-gram may lie close to each other in latent dimensions, so a few labels reach further: Deerwester
et al. 1990, https://doi.org/10.1002/(SICI)1097-4571(199009)41:6<391::AID-ASI1>3.0.CO;2-9.
Shapes: N texts, G n-grams, L latent dimensions, K columns of a regression.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Multiplied by this, a text's latent dimensions are penalized less than its n-grams, of which there are far more.
LATENT_SCALE = 3.0
POWER_ITERATIONS, SEED = 3, 1


def find_latent_directions(features: "csr_matrix", size: int) -> NDArray[np.float32]:
    """The directions of `size` latent dimensions, or of fewer, if texts or n-grams are: float32 [L, G]."""
    from sklearn.utils.extmath import randomized_svd

    _, _, directions_LG = randomized_svd(
        features, n_components=min(size, *features.shape), n_iter=POWER_ITERATIONS, random_state=SEED
    )
    return directions_LG.astype(np.float32)


def append_latent(features: "csr_matrix", directions_LG: NDArray[np.float32]) -> "csr_matrix":
    """Put the latent dimensions of texts next to their n-grams: sparse float32 [N, G + L]."""
    from scipy.sparse import csr_matrix, hstack

    return hstack([features, csr_matrix(LATENT_SCALE * (features @ directions_LG.T))], format="csr")


def fold_latent(weights_KF: NDArray, directions_LG: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn the weights of n-grams and latent dimensions into weights of n-grams alone, which say the same: [G, K].

    A latent dimension is a weighted sum of n-grams.
    """
    of_ngrams_KG, of_latent_KL = np.split(weights_KF, [-len(directions_LG)], axis=1)
    return (of_ngrams_KG + LATENT_SCALE * of_latent_KL @ directions_LG).T.astype(np.float32)
