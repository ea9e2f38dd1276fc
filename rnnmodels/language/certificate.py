"""A certificate that what a document costs depends on nothing but the document itself.

The same documents are scored under variations that must not matter: together, among others, in another order, and
read on in parts with the state carried.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rnnmodels.deviation import Certificate, largest_deviation
from rnnmodels.language.next_token_model import NextTokenModel
from rnnmodels.language.scoring import score_documents
from rnnmodels.language.token_streams import BOUNDARY, Ids
from rnnmodels.training.evaluation import evaluating

TOLERANCE = 1e-4
PART = 7
FIRST_TOKEN = 2  # after the ids of boundary and unknown


def certify_independence(model: NextTokenModel, documents: Sequence[Ids], *, seed: int = 0) -> Certificate:
    """Score each document alone, then under each variation, and compare; `seed` draws documents to score them among."""
    if not documents:
        raise ValueError("got no documents, expected at least one to certify with")
    alone = np.concatenate([score_documents(model, [document])[0] for document in documents])
    mates = _draw_mates(model, documents, np.random.default_rng(seed))
    varied = {
        "batch_size": score_documents(model, documents),
        "batch_mates": score_documents(model, [*documents, *mates])[: len(documents)],
        "order": score_documents(model, documents[::-1])[::-1],
        "parts": [_score_in_parts(model, document) for document in documents],
    }
    deviations = {name: largest_deviation(np.concatenate(nats), alone) for name, nats in varied.items()}
    return Certificate.of(deviations, tolerance=TOLERANCE, num_sequences=len(documents))


def _draw_mates(model: NextTokenModel, documents: Sequence[Ids], generator: np.random.Generator) -> list[Ids]:
    """As many documents of random tokens, the first of them longer than any."""
    lengths = [len(document) for document in documents]
    lengths[0] = max(lengths) + 1
    return [generator.integers(FIRST_TOKEN, model.vocabulary_size, length) for length in lengths]


def _score_in_parts(model: NextTokenModel, document: Ids) -> NDArray[np.float32]:
    """Read a document a few tokens at a time, as a text is continued."""
    stream = np.concatenate([[BOUNDARY], document, [BOUNDARY]])
    states, nats = None, []
    with evaluating(model):
        for first in range(0, len(stream) - 1, PART):
            last = min(first + PART, len(stream) - 1)
            tokens, targets = (model.to_device(stream[start : start + last - first]) for start in (first, first + 1))
            logits_T1V, states = model.advance(tokens[:, None], states)
            nats.append(functional.cross_entropy(logits_T1V[:, 0], targets, reduction="none"))
    return torch.cat(nats).cpu().numpy()
