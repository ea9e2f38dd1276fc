"""Both protocols, against sums over single documents read one token at a time."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from rnnmodels.language.language_model import LanguageModel
from rnnmodels.language.scoring import (
    WINDOW,
    cut_windows,
    score_cold,
    score_documents,
    score_stream,
    validate_stream,
)
from rnnmodels.language.token_streams import BOUNDARY, TokenStream, stream_of
from rnnmodels.training.evaluation import evaluating

MakeModel = Callable[..., LanguageModel]
CELLS = [
    {"cell": "lstm"},
    {"cell": "gru", "num_layers": 2},
    {"cell": "rnn", "nonlinearity": "relu"},
    {"cell": "rnn", "tied": True},
    {"cell": "lstm", "num_layers": 3, "tied": True, "embedding_size": 8},
    {"cell": "transformer", "num_layers": 2, "num_heads": 2, "context": 20},
]


def score_alone(model: LanguageModel, tokens: np.ndarray) -> np.ndarray:
    """Cost of each token after the first, read one at a time from an empty state."""
    costs, states = [], None
    with evaluating(model):
        for token, target in itertools.pairwise(tokens):
            logits, states = model.advance(torch.tensor([[int(token)]]), states)
            costs.append(functional.cross_entropy(logits[0], torch.tensor([int(target)])).item())
    return np.array(costs)


def document_of(stream: TokenStream, index: int) -> np.ndarray:
    return np.concatenate([[BOUNDARY], stream.targets_of(index)])


@pytest.mark.parametrize("architecture", CELLS)
def test_a_stream_costs_what_its_documents_cost_alone(
    make_language_model: MakeModel, documents: list[np.ndarray], architecture: dict
) -> None:
    model, stream = make_language_model(**architecture), stream_of(documents)
    alone = np.concatenate([score_alone(model, document_of(stream, index)) for index in range(len(documents))])
    np.testing.assert_allclose(score_stream(model, stream), alone, atol=2e-5)
    assert score_stream(model, stream).sum(dtype=np.float64) == pytest.approx(alone.sum(), rel=1e-6)


def test_cold_windows_cost_what_they_cost_alone(make_language_model: MakeModel, documents: list[np.ndarray]) -> None:
    model, stream = make_language_model(), stream_of(documents)
    alone = np.concatenate([score_alone(model, stream.tokens[s.start - 1 : s.stop]) for s in cut_windows(stream)])
    np.testing.assert_allclose(score_cold(model, stream), alone, atol=2e-5)


def test_windows_hold_each_target_of_a_document_once(documents: list[np.ndarray]) -> None:
    stream = stream_of(documents)
    places = [place for span in cut_windows(stream) for place in range(span.start, span.stop)]
    assert places == list(range(1, len(stream.tokens)))
    assert max(span.stop - span.start for span in cut_windows(stream)) == WINDOW


def test_a_single_document_in_one_go_equals_the_sum_over_its_padded_windows_with_their_states(
    make_language_model: MakeModel, documents: list[np.ndarray]
) -> None:
    model, stream = make_language_model(), stream_of(documents[1:2])
    np.testing.assert_allclose(score_stream(model, stream), score_alone(model, stream.tokens), atol=2e-5)


def test_a_document_costs_the_same_beside_any_others(
    make_language_model: MakeModel, documents: list[np.ndarray]
) -> None:
    model = make_language_model(num_layers=2)
    together = score_documents(model, documents)
    for document, costs in zip(documents, together, strict=True):
        np.testing.assert_allclose(score_documents(model, [document])[0], costs, atol=2e-5)
        assert len(costs) == len(document) + 1
    np.testing.assert_allclose(score_stream(model, stream_of(documents)), np.concatenate(together), atol=2e-5)


def test_a_document_that_is_not_closed_has_no_cost_for_its_end(make_language_model: MakeModel) -> None:
    model, document = make_language_model(), np.array([3, 4, 5])
    closed, cut_off = (score_documents(model, [document], closed=closed)[0] for closed in (True, False))
    np.testing.assert_allclose(closed[:3], cut_off, atol=1e-6)


def test_a_model_that_knows_nothing_costs_the_logarithm_of_the_vocabulary(
    make_language_model: MakeModel, documents: list[np.ndarray]
) -> None:
    model = make_language_model()
    with torch.no_grad():
        for tensor in model.output_layer():
            tensor.zero_()
    validation = validate_stream(model, stream_of(documents))
    assert validation.loss == pytest.approx(math.log(model.vocabulary_size), rel=1e-6)
    assert validation.metrics["nats_per_char"] == pytest.approx(math.log(model.vocabulary_size), rel=1e-6)
    assert validation.metrics["bits_per_char"] == pytest.approx(math.log2(model.vocabulary_size), rel=1e-6)
    assert validation.metrics["perplexity"] == pytest.approx(model.vocabulary_size, rel=1e-5)


def test_validation_in_lanes_is_close_to_one_go(make_language_model: MakeModel) -> None:
    model, text = make_language_model(), np.random.default_rng(3).integers(1, 12, 20_000)
    stream = stream_of([text])
    assert validate_stream(model, stream).loss == pytest.approx(score_stream(model, stream).mean(), rel=1e-4)


def test_what_unknown_tokens_cost_to_spell_is_added_per_character(
    make_language_model: MakeModel, documents: list[np.ndarray]
) -> None:
    model, stream = make_language_model(), stream_of(documents)
    before = validate_stream(model, stream).metrics
    stream.documents.spelling_nats[:] = 5.0
    after = validate_stream(model, stream).metrics
    added = 5.0 * len(documents) / stream.num_rows
    assert after["nats_per_char"] == pytest.approx(before["nats_per_char"] + added)
    assert after["perplexity"] == before["perplexity"]
