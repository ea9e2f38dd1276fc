"""Documents as one stream of token ids, and the chunks of parallel streams that a language model is trained on.

A stream is `0 d1 0 d2 0 ... dn 0`: a boundary stands before and after each document. That of a single document has no
boundary after it, since a book is usually cut off, not at an end.
Shapes: T time steps, S parallel streams.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rnnmodels.durable import sha256_of_file

BOUNDARY = 0

Ids = NDArray[np.integer]


@dataclass(frozen=True)
class Chunk:
    """Consecutive steps of all streams: each token of `tokens_TS` is followed by that of `targets_TS`.

    `first` is the place of the chunk in its epoch, which begins where that is 0.
    """

    tokens_TS: Ids
    targets_TS: Ids
    first: int

    @property
    def row(self) -> NDArray[np.integer]:
        """The steps of an epoch's streams that it holds, one after the other."""
        return np.arange(self.first, self.first + self.tokens_TS.size)


@dataclass(frozen=True)
class Documents:
    """The documents of a stream in its order: source row, place of the first token, and sizes.

    `num_tokens` counts what is predicted, the boundary after the document included where there is one, and so does
    `num_chars`; `spelling_nats` is what its unknown tokens cost to spell.
    """

    row: Ids
    start: Ids
    num_tokens: Ids
    num_chars: Ids
    spelling_nats: NDArray[np.float64]


@dataclass(frozen=True)
class TokenStream:
    """One split: its stream, its documents, and how training cuts chunks from it."""

    paths: tuple[Path, ...]
    tokens: Ids
    documents: Documents
    bptt: int
    random_bptt: bool = False

    @property
    def num_rows(self) -> int:
        """Tokens that are predicted."""
        return len(self.tokens) - 1

    @property
    def place(self) -> str:
        """The files, for messages."""
        return ", ".join(map(str, self.paths))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the files' contents, in hexadecimal."""
        return hashlib.sha256("".join(map(sha256_of_file, self.paths)).encode()).hexdigest()

    def num_batches(self, batch_size: int) -> int:
        """Chunks of `batch_size` streams per epoch."""
        return max(1, -(-self._steps_of(batch_size) // self.bptt))

    def batches(self, batch_size: int, *, seed: int | None = None, epoch: int = 0) -> Iterator[Chunk]:
        """Yield an epoch of chunks of `batch_size` streams; each token is a target once, a few at the end twice.

        Documents are shuffled, and a single one is begun at a random place, as a function of (seed, epoch); without
        a seed the order is that of the file.
        """
        num_streams, num_steps = batch_size, self._steps_of(batch_size)
        generator = None if seed is None else np.random.default_rng([seed, epoch])
        repeated = np.resize(self._arrange(generator), num_streams * num_steps + 1)
        tokens_TS = repeated[:-1].reshape(num_streams, num_steps).T
        targets_TS = repeated[1:].reshape(num_streams, num_steps).T
        for start, stop in itertools.pairwise(self._choose_cuts(num_steps, generator)):
            yield Chunk(tokens_TS[start:stop], targets_TS[start:stop], first=start * num_streams)

    def targets_of(self, document: int) -> Ids:
        """What is predicted of a document; what predicts it begins one place earlier in the stream."""
        start = self.documents.start[document]
        return self.tokens[start : start + self.documents.num_tokens[document]]

    def _steps_of(self, num_streams: int) -> int:
        return -(-self.num_rows // num_streams)

    def _arrange(self, generator: np.random.Generator | None) -> Ids:
        """The stream in the order in which an epoch reads it."""
        if generator is None:
            return self.tokens
        num_documents = len(self.documents.start)
        if num_documents == 1:
            return np.roll(self.tokens, generator.integers(len(self.tokens)))
        order = generator.permutation(num_documents)
        return np.concatenate([self.tokens[:1], *(self.targets_of(document) for document in order)])

    def _choose_cuts(self, num_steps: int, generator: np.random.Generator | None) -> list[int]:
        """Where chunks begin and end; as many of them whether they are cut at random or not."""
        cuts = np.arange(0, num_steps, self.bptt)
        if self.random_bptt and generator is not None:
            reach = self.bptt // 4
            cuts[1:] += generator.integers(-reach, reach + 1, len(cuts) - 1)
        return [*np.minimum(cuts, num_steps - 1).tolist(), num_steps] if num_steps > 1 else [0, num_steps]


def open_stream(
    tokens: Path, documents: Path, *, bptt: int, random_bptt: bool = False, backward: bool = False
) -> TokenStream:
    """Memory-map the two files of a split; `backward` reads each document from its end to its beginning."""
    ids = pa.ipc.open_file(pa.memory_map(str(tokens))).get_batch(0)["tokens"].to_numpy()
    table = pa.ipc.open_file(pa.memory_map(str(documents))).read_all()
    listed = Documents(**{name: table[name].to_numpy() for name in Documents.__dataclass_fields__})
    if backward:
        ids = reverse_documents(ids, listed.start)
    return TokenStream((tokens, documents), ids, listed, bptt, random_bptt)


def stream_of(documents: Sequence[Ids], *, bptt: int = 128) -> TokenStream:
    """A stream in memory of documents without their boundaries, each token a character."""
    closing = [BOUNDARY] if len(documents) > 1 else []
    parts = [np.append(document, closing).astype(np.int64) for document in documents]
    num_tokens = np.array([len(part) for part in parts])
    start = 1 + np.cumsum(num_tokens) - num_tokens
    listed = Documents(np.arange(len(parts)), start, num_tokens, num_tokens, np.zeros(len(parts)))
    return TokenStream((), np.concatenate([[BOUNDARY], *parts]), listed, bptt)


def reverse_documents(tokens: NDArray, start: Ids) -> NDArray:
    """The same stream, or a number for each place of it, with each document from its end to its beginning."""
    ends = [*(start[1:] - 1), len(tokens) - (len(start) > 1)]
    turned = tokens.copy()
    for first, end in zip(start.tolist(), ends, strict=True):
        turned[first:end] = tokens[first:end][::-1]
    return turned
