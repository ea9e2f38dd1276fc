"""Interpolated n-grams of token ids with modified Kneser-Ney discounts (Chen and Goodman, CSL 13(4), 1999).

An n-gram is a number made of two others, the n-gram of the tokens before its last and its last token, so that counting
is sorting. Orders are built one upon the other, and of each only what the next one needs is kept: memory is a few
arrays as long as the text. No context reaches beyond a document's boundary, nor beyond what a target may know: there
the shorter model decides, with counts of its own.
N targets, K distinct n-grams of an order, C contexts, V entries of the vocabulary.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rnnmodels.language.token_streams import TokenStream
from tasks.kinds.language.token_losses import BLOCK, place_in_document

ABSENT = -1
# Where counts of 1 to 4 are not all there to estimate discounts from, as of the few characters of a language (KenLM's).
FALLBACK_DISCOUNTS = (0.0, 0.5, 1.0, 1.5)
LEAST_DISCOUNT = 0.05
# An order that lowers the loss by a smaller share is not worth the time of those that follow.
LEAST_GAIN = 0.001

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Targets:
    """Tokens to predict [N] in reading order, the token before each, and how many tokens before it may be known."""

    token: Ids
    before: Ids
    room: Ids

    @classmethod
    def of(cls, stream: TokenStream) -> Self:
        """The targets of a stream, each with its document as context, the boundary before it included."""
        tokens = stream.tokens.astype(np.int64)
        return cls(tokens[1:], tokens[:-1], place_in_document(stream.documents) + 1)

    def head(self, num_targets: int) -> Self:
        """The first of them."""
        return type(self)(self.token[:num_targets], self.before[:num_targets], self.room[:num_targets])

    def followed_by(self, other: Self) -> Self:
        """These, then those of another stream."""
        parts = ((self.token, other.token), (self.before, other.before), (self.room, other.room))
        return type(self)(*map(np.concatenate, parts))

    @property
    def cold_room(self) -> Ids:
        """How many tokens before each are in its cold window, which begins with the token before its first target."""
        return (self.room - 1) % BLOCK + 1

    def contexts(self, order: int, grams: Ids) -> Ids:
        """The number of the `order - 1` tokens before each target, given that of those which end at each target."""
        if order == 1:
            return np.zeros_like(self.token)
        if order == 2:  # noqa: PLR2004 (a context of one token is that token)
            return self.before
        earlier = np.concatenate([[ABSENT], grams[:-1]])
        return np.where(self.room >= order - 1, earlier, ABSENT)


@dataclass(frozen=True, kw_only=True)
class Level:
    """The n-grams of one order in training, and where targets find theirs.

    keys: context * V + token, sorted [K]. counts: occurrences [K]. suffixes: the n-gram without its first token [K].
    grams: the n-gram that ends at each training target. held_contexts, held_grams: those of the targets to be
    predicted; ABSENT where training has none.
    """

    vocabulary_size: int
    num_contexts: int
    keys: Ids
    counts: Ids
    suffixes: Ids
    grams: Ids
    held_contexts: Ids
    held_grams: Ids

    def predict(self, counts: Ids, lower: Floats) -> Floats:
        """Probability of each held target [N] under counts of the n-grams, given that under the order below."""
        removed, contexts = estimate_discounts(counts)[np.minimum(counts, 3)], self.keys // self.vocabulary_size
        total_C = np.bincount(contexts, counts, self.num_contexts)
        removed_C = np.bincount(contexts, removed, self.num_contexts)
        total, mass = (
            np.where(self.held_contexts == ABSENT, 0, one[self.held_contexts]) for one in (total_C, removed_C)
        )
        own = np.where(self.held_grams == ABSENT, 0, (counts - removed)[self.held_grams])
        return np.where(total > 0, (own + mass * lower) / np.maximum(total, 1), lower)


def count_tokens(train: Targets, held: Targets, vocabulary_size: int) -> Level:
    """Order 1: every entry of the vocabulary has a place, also those that never occur."""
    every = np.arange(vocabulary_size)
    return Level(
        vocabulary_size=vocabulary_size,
        num_contexts=1,
        keys=every,
        counts=np.bincount(train.token, minlength=vocabulary_size),
        suffixes=every,
        grams=train.token,
        held_contexts=held.contexts(1, held.token),
        held_grams=held.token,
    )


def count_longer(train: Targets, held: Targets, order: int, below: Level) -> Level:
    """Any longer order, from the one below."""
    size = below.vocabulary_size
    keys = make_keys(train.contexts(order, below.grams), train.token, size)
    numbered = number_keys(keys)
    held_contexts = held.contexts(order, below.held_grams)
    return Level(
        vocabulary_size=size,
        num_contexts=len(below.keys),
        keys=numbered.distinct,
        counts=numbered.counts,
        suffixes=below.grams[numbered.examples],
        grams=numbered.number,
        held_contexts=held_contexts,
        held_grams=find_keys(make_keys(held_contexts, held.token, size), numbered.distinct),
    )


class Fit(NamedTuple):
    """Nats of each held target [N] in both protocols under n-grams of an order, and how many there are of them."""

    order: int
    num_ngrams: int
    nats: Floats
    cold_nats: Floats


def score_by_order(train: Targets, held: Targets, *, vocabulary_size: int) -> Iterator[Fit]:
    """Score held targets under n-grams of order 1, 2, ...; where there is less room, under shorter ones.

    Below the highest order, n-grams count by how many different tokens precede them.
    """
    lower = np.full(len(held.token), 1 / vocabulary_size)
    level = count_tokens(train, held, vocabulary_size)
    nats = cold_nats = np.zeros(len(held.token))
    for order in itertools.count(1):
        longer = -np.log(level.predict(level.counts, lower))
        nats, cold_nats = (
            np.where(room >= order - 1, longer, shorter)
            for room, shorter in ((held.room, nats), (held.cold_room, cold_nats))
        )
        yield Fit(order, len(level.keys), nats, cold_nats)
        below, level = level, count_longer(train, held, order + 1, level)
        lower = below.predict(np.bincount(level.suffixes, minlength=len(below.keys)), lower)


def choose_fit(fits: Iterator[Fit], *, num_valid: int, max_order: int) -> Fit:
    """Raise the order for as long as that lowers the loss on validation, whose targets come first, by enough."""
    best = next(fits)
    while best.order < max_order:
        longer = next(fits)
        before, after = (fit.nats[:num_valid].sum() for fit in (best, longer))
        if after > (1 - LEAST_GAIN) * before:
            break
        best = longer
    return best


def estimate_discounts(counts: Ids) -> Floats:
    """What to take from counts of 0, 1, 2 and of 3 or more, estimated from how many there are of each."""
    one, two, three, four = (np.count_nonzero(counts == times) for times in (1, 2, 3, 4))
    if not (one and two and three and four):
        return np.array(FALLBACK_DISCOUNTS)
    share = one / (one + 2 * two)
    estimates = (0, 1 - 2 * share * two / one, 2 - 3 * share * three / two, 3 - 4 * share * four / three)
    return np.clip(estimates, (0, LEAST_DISCOUNT, LEAST_DISCOUNT, LEAST_DISCOUNT), (0, 1, 2, 3))


def make_keys(contexts: Ids, tokens: Ids, vocabulary_size: int) -> Ids:
    """The keys of n-grams; ABSENT where the context is."""
    return np.where(contexts == ABSENT, ABSENT, contexts * vocabulary_size + tokens)


class Numbered(NamedTuple):
    """Distinct keys, sorted; how often and where each occurs; and for each place the number of its key, or ABSENT."""

    distinct: Ids
    counts: Ids
    examples: Ids
    number: Ids


def number_keys(keys: Ids) -> Numbered:
    """Number the keys that are not ABSENT in their order."""
    present = np.flatnonzero(keys != ABSENT)
    order = present[sort_places(keys[present])]
    ranked = keys[order]
    begins = np.concatenate([[True], ranked[1:] != ranked[:-1]]) if len(ranked) else np.empty(0, bool)
    first = np.flatnonzero(begins)
    number = np.full(len(keys), ABSENT)
    number[order] = np.cumsum(begins) - 1
    return Numbered(ranked[first], np.diff(first, append=len(ranked)), order[first], number)


def sort_places(keys: Ids) -> Ids:
    """The places of keys in the order of the keys; equal ones in their own order."""
    num_keys = len(keys)
    if (int(keys.max(initial=0)) + 1) * num_keys > np.iinfo(np.int64).max:
        return np.argsort(keys, kind="stable")
    # Numbers are sorted several times as fast as their places, so a number that holds both is.
    packed = keys * num_keys + np.arange(num_keys)
    packed.sort()
    return packed % max(num_keys, 1)


def find_keys(keys: Ids, distinct: Ids) -> Ids:
    """The number of each key among the sorted distinct ones, or ABSENT."""
    if not len(distinct):
        return np.full(len(keys), ABSENT)
    order = sort_places(np.maximum(keys, 0))  # questions in order find their answers close together
    place = np.empty_like(keys)
    place[order] = np.searchsorted(distinct, keys[order]).clip(max=len(distinct) - 1)
    return np.where(distinct[place] == keys, place, ABSENT)
