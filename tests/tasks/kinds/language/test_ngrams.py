"""N-grams are what the textbook says, whatever the arrays they are counted in."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from rnnmodels.language import scoring
from rnnmodels.language.token_streams import Documents, TokenStream, stream_of
from tasks.kinds.language.ngrams import (
    FALLBACK_DISCOUNTS,
    Targets,
    choose_fit,
    estimate_discounts,
    number_keys,
    score_by_order,
    sort_places,
)
from tasks.kinds.language.token_losses import BLOCK

SIZE = 6


def babble(num_tokens: int, seed: int) -> list[int]:
    """Tokens 1 to 5, each of which makes some others likely."""
    generator, tokens = np.random.default_rng(seed), [1]
    while len(tokens) < num_tokens:
        likely = [1 + (2 * tokens[-1]) % 5, 1 + (sum(tokens[-2:]) % 5), int(generator.integers(1, SIZE))]
        tokens.append(likely[int(generator.integers(3))])
    return tokens


def book(tokens: Sequence[int]) -> TokenStream:
    """A single document, which has no end."""
    size = np.array([len(tokens)])
    documents = Documents(np.array([0]), np.array([1]), size, size, np.zeros(1))
    return TokenStream((), np.array([0, *tokens]), documents, bptt=BLOCK)


def probabilities(train: TokenStream, held: TokenStream, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each held token, with its document and with its window as context."""
    fits = score_by_order(Targets.of(train), Targets.of(held), vocabulary_size=SIZE)
    fit = next(itertools.islice(fits, order - 1, None))
    assert fit.order == order
    return np.exp(-fit.nats), np.exp(-fit.cold_nats)


DOCUMENTS = [babble(40, seed) for seed in range(12)]


class Textbook:
    """Interpolated modified Kneser-Ney, count by count, from dictionaries."""

    def __init__(self, documents: list[list[int]], order: int):
        padded = [[0, *document, 0] for document in documents]
        self.counts = {
            k: Counter(tuple(one[end - k : end]) for one in padded for end in range(max(2, k), len(one) + 1))
            for k in range(1, order + 1)
        }
        # The boundary that begins a document is no target.
        self.preceded = {k: Counter(gram[1:] for gram in self.counts[k + 1]) for k in range(1, order)}

    def probability(self, context: tuple[int, ...], token: int) -> float:
        order = len(context) + 1
        counts = self.counts.get(order, {})
        return self._interpolate(counts, context, token)

    def _interpolate(self, counts: dict, context: tuple[int, ...], token: int) -> float:
        lower = self._interpolate(self.preceded[len(context)], context[1:], token) if context else 1 / SIZE
        followers = defaultdict(int, {gram[-1]: count for gram, count in counts.items() if gram[:-1] == context})
        total = sum(followers.values())
        if not total:
            return lower
        discounts = estimate_discounts(np.array(list(counts.values())))
        removed = {one: discounts[min(count, 3)] for one, count in followers.items()}
        return (followers[token] - removed.get(token, 0) + sum(removed.values()) * lower) / total


def test_every_probability_is_that_of_the_textbook():
    held = [babble(30, seed) for seed in (50, 51)]
    textbook = Textbook(DOCUMENTS, order=4)

    found, _ = probabilities(stream_of(DOCUMENTS), stream_of(held), order=4)

    expected = []
    for document in held:
        padded = [0, *document, 0]
        expected += [
            textbook.probability(tuple(padded[max(0, end - 3) : end]), padded[end]) for end in range(1, len(padded))
        ]
    assert found == pytest.approx(np.array(expected), rel=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("context", [[], [3], [4, 2], babble(9, 77), babble(BLOCK + 2, 78)])
def test_probabilities_over_the_vocabulary_add_up_to_one(order, context):
    """Also in a context that training never saw, at the beginning of a document and of a window."""
    documents = [[*context, token] for token in range(SIZE)]

    for one in probabilities(stream_of(DOCUMENTS), stream_of(documents), order):
        ends = np.cumsum([len(document) + 1 for document in documents]) - 2
        assert one[ends].sum() == pytest.approx(1, abs=1e-12)
        assert (one > 0).all()


def test_a_context_that_training_never_saw_leaves_the_shorter_one_to_decide():
    train = book([2, 3, 2, 3, 2, 3, 2])

    (longer, _), (shorter, _) = (probabilities(train, book([2, 3, 4, 5, 2]), order) for order in (3, 2))

    assert longer[4] == shorter[4]  # after 5, which follows 4, both of which are new


def test_documents_do_not_know_each_other():
    held = [babble(20, seed) for seed in (60, 61, 62)]

    found, _ = probabilities(stream_of(DOCUMENTS), stream_of(held), 4)
    turned, _ = probabilities(stream_of(DOCUMENTS[::-1]), stream_of(held[::-1]), 4)

    assert found.reshape(3, 21) == pytest.approx(turned.reshape(3, 21)[::-1], rel=1e-12)


def test_a_cold_window_knows_the_token_before_it_and_no_more():
    tokens = babble(2 * BLOCK + 40, 5)
    changed = [*babble(BLOCK - 1, 6), *tokens[BLOCK - 1 :]]
    train = book(babble(3000, 7))

    (warm, cold), (warm_changed, cold_changed) = (probabilities(train, book(one), 5) for one in (tokens, changed))

    assert cold[BLOCK:] == pytest.approx(cold_changed[BLOCK:], rel=1e-12)
    assert warm[BLOCK] != pytest.approx(warm_changed[BLOCK], rel=1e-3)
    short, _ = probabilities(train, book(tokens), 2)
    assert cold[BLOCK] == pytest.approx(short[BLOCK], rel=1e-12)
    assert cold[BLOCK + 8 : 2 * BLOCK] == pytest.approx(warm[BLOCK + 8 : 2 * BLOCK], rel=1e-12)


def test_cold_windows_are_as_wide_as_those_of_networks():
    assert BLOCK == scoring.WINDOW


def test_validation_alone_chooses_the_order():
    train, valid, test = (Targets.of(book(babble(size, seed))) for size, seed in ((4000, 1), (800, 2), (800, 3)))
    num_valid, fits = len(valid.token), partial(score_by_order, train, valid.followed_by(test), vocabulary_size=SIZE)
    losses = [fit.nats[:num_valid].mean() for fit in itertools.islice(fits(), 8)]

    fit = choose_fit(fits(), num_valid=num_valid, max_order=8)

    assert 2 <= fit.order < 8
    assert fit.nats[:num_valid].mean() == min(losses)
    assert choose_fit(fits(), num_valid=num_valid, max_order=1).order == 1


def test_discounts_are_those_of_chen_and_goodman():
    counts = np.repeat([1, 2, 3, 4, 5], [40, 15, 8, 5, 9])

    share = 40 / (40 + 2 * 15)
    expected = [0, 1 - 2 * share * 15 / 40, 2 - 3 * share * 8 / 15, 3 - 4 * share * 5 / 8]
    assert estimate_discounts(counts) == pytest.approx(expected)
    assert estimate_discounts(np.array([5, 9])) == pytest.approx(FALLBACK_DISCOUNTS)


@pytest.mark.parametrize("largest", [50, 2**62])
def test_keys_are_numbered_in_their_order_however_large(largest):
    keys = np.array([7, largest, -1, 7, 3, largest, -1, 7])

    numbered = number_keys(keys)

    assert numbered.distinct.tolist() == [3, 7, largest]
    assert numbered.counts.tolist() == [1, 3, 2]
    assert numbered.number.tolist() == [1, 2, -1, 1, 0, 2, -1, 1]
    assert keys[numbered.examples].tolist() == numbered.distinct.tolist()
    assert number_keys(np.array([-1, -1])).distinct.tolist() == []
    assert sort_places(np.array([5, 5, 1])).tolist() == [2, 0, 1]
