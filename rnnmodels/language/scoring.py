"""What a language model makes of texts, in nats per token, without dropout.

Two protocols. *Stateful*: a document is read from its beginning, after a boundary, and the state is carried through.
*Cold*: each window of 256 targets begins with an empty state. No document or window changes what is said of another.
Shapes: T time steps, B documents or windows side by side, V vocabulary.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rnnmodels.language.next_token_model import NextTokenModel
from rnnmodels.language.token_streams import BOUNDARY, Ids, TokenStream
from rnnmodels.layers.states import State, map_state
from rnnmodels.training.evaluation import evaluating
from rnnmodels.training.sequence_model import Validation

Nats = NDArray[np.float32]

WINDOW = 256
STEPS_AT_ONCE = 256
ROWS_AT_ONCE = 64
# 16 MB of logits: many more would be new memory each time, which the system clears first.
LOGITS_AT_ONCE = 1 << 22
# While training, a long document is read in lanes at once, each after this number of tokens of the lane before it.
NUM_LANES = 32
WARM_UP = 256
LARGEST_EXPONENT = 700.0  # of what a float can hold


class Span(NamedTuple):
    """Targets of a stream that are scored together, in one go from an empty state: of `warm_up` none is kept."""

    start: int
    stop: int
    warm_up: int = 0


def score_stream(model: NextTokenModel, stream: TokenStream) -> Nats:
    """Score every target of a stream, each document in one go."""
    documents = stream.documents
    return score_spans(model, stream, _spans_of(documents.start, documents.num_tokens))


def score_cold(model: NextTokenModel, stream: TokenStream) -> Nats:
    """Score every target of a stream, in windows of 256 that each begin with an empty state."""
    return score_spans(model, stream, list(cut_windows(stream)))


def score_documents(model: NextTokenModel, documents: Sequence[Ids], *, closed: bool = True) -> list[Nats]:
    """Score documents without their boundaries; with `closed` the boundary after each is its last target."""
    tokens = np.concatenate([[BOUNDARY], *(part for document in documents for part in (document, [BOUNDARY]))])
    lengths = np.array([len(document) for document in documents], dtype=np.int64)
    starts, sizes = 1 + np.cumsum(lengths + 1) - (lengths + 1), lengths + closed
    nats = np.zeros(len(tokens) - 1, np.float32)
    with evaluating(model):
        _score(model, tokens, _spans_of(starts, sizes), nats)
    return [nats[start - 1 : start - 1 + size] for start, size in zip(starts, sizes, strict=True)]


def score_spans(model: NextTokenModel, stream: TokenStream, spans: Sequence[Span]) -> Nats:
    """Score the targets of all spans; the array has a place for each target of the stream."""
    nats = np.zeros(stream.num_rows, np.float32)
    with evaluating(model):
        _score(model, stream.tokens, spans, nats)
    return nats


def cut_windows(stream: TokenStream) -> Iterator[Span]:
    """The windows of each document, the last of which may be shorter."""
    for start, size in zip(stream.documents.start.tolist(), stream.documents.num_tokens.tolist(), strict=True):
        yield from (Span(first, min(first + WINDOW, start + size)) for first in range(start, start + size, WINDOW))


def validate_stream(model: NextTokenModel, stream: TokenStream) -> Validation:
    """Score a stream as an epoch ends: stateful, but long documents in lanes that begin 256 tokens early."""
    documents = stream.documents
    whole = _spans_of(documents.start, documents.num_tokens)
    longest = max(WINDOW * NUM_LANES, math.ceil(stream.num_rows / NUM_LANES))
    spans = [lane for span in whole for lane in _cut_lanes(span, longest if len(whole) > 1 else _lane_size(span))]
    total = float(score_spans(model, stream, spans).sum(dtype=np.float64))
    per_token = total / stream.num_rows
    if not math.isfinite(per_token):
        raise FloatingPointError(f"the validation loss is {per_token}")
    per_char = (total + documents.spelling_nats.sum()) / documents.num_chars.sum()
    metrics = {
        "nats_per_char": per_char,
        "bits_per_char": per_char / math.log(2),
        "perplexity": math.exp(min(per_token, LARGEST_EXPONENT)),
    }
    return Validation(per_token, metrics)


def _spans_of(starts: Ids, sizes: Ids) -> list[Span]:
    return [Span(start, start + size) for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)]


def _lane_size(span: Span) -> int:
    return max(WINDOW, math.ceil((span.stop - span.start) / NUM_LANES))


def _cut_lanes(span: Span, size: int) -> Iterator[Span]:
    for start in range(span.start, span.stop, size):
        warm_up = min(WARM_UP, start - span.start)
        yield Span(start - warm_up, min(start + size, span.stop), warm_up)


def _score(model: NextTokenModel, tokens: Ids, spans: Sequence[Span], nats: Nats) -> None:
    """Fill in what the targets of the spans cost; spans of like length are read side by side."""
    longest_first = sorted(spans, key=lambda span: span.start - span.stop)
    for first in range(0, len(longest_first), ROWS_AT_ONCE):
        _score_side_by_side(model, tokens, longest_first[first : first + ROWS_AT_ONCE], nats)


def _score_side_by_side(model: NextTokenModel, tokens: Ids, spans: Sequence[Span], nats: Nats) -> None:
    """Score spans, the longest of which comes first; what has ended is dropped from one block of steps to the next."""
    states, longest = None, spans[0].stop - spans[0].start
    for done in range(0, longest, STEPS_AT_ONCE):
        alive = [span for span in spans if span.stop - span.start > done]
        states = states and _keep_rows(states, len(alive))
        step_T1 = np.arange(done, min(done + STEPS_AT_ONCE, longest))[:, None]
        # What has ended within the block is read on, up to the stream's end, to no effect.
        places_TB = np.minimum(step_T1 + np.array([span.start for span in alive]), len(tokens) - 1)
        nats_TB, states = _read_on(model, tokens[places_TB - 1], tokens[places_TB], states)
        for column, span in enumerate(alive):
            first = max(span.start + done, span.start + span.warm_up)
            stop = min(span.start + done + len(step_T1), span.stop)
            if first < stop:
                nats[first - 1 : stop - 1] = nats_TB[first - span.start - done :, column][: stop - first]


def _read_on(
    model: NextTokenModel, tokens_TB: Ids, targets_TB: Ids, states: list[State] | None
) -> tuple[Nats, list[State]]:
    """Cost of each target, and the states after them; logits are never held for all steps at once."""
    read, target_TB = model.read(model.to_device(tokens_TB), states), model.to_device(targets_TB)
    at_once = max(1, LOGITS_AT_ONCE // (model.vocabulary_size * tokens_TB.shape[1]))
    costs = [
        functional.cross_entropy(model.logits(features).flatten(0, 1), target.flatten(), reduction="none").view_as(
            target
        )
        for features, target in zip(read.features.split(at_once), target_TB.split(at_once), strict=True)
    ]
    return torch.cat(costs).cpu().numpy(), read.states


def _keep_rows(states: list[State], num_rows: int) -> list[State]:
    return [map_state(lambda part: part[:, :num_rows].contiguous(), state) for state in states]
