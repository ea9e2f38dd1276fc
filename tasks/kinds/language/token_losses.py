"""What each token of a split costs a model, added up by block of a document and by position, and stored.

N targets of a split; documents follow each other in its stream. Nothing here needs torch.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rnnmodels.language.token_streams import Documents, TokenStream, open_stream
from tasks.store.artefacts import Artefact

SCORED_SPLITS = ("valid", "test")
SCORES_FILE, POSITIONS_FILE = "scores.parquet", "positions.json"
# Targets of a block, and of a cold window.
BLOCK = 256
# One record per block of a document, counted from 0; characters and what unknown tokens cost to spell are those of the
# document, shared out by tokens.
SCORES = pl.Schema(
    {
        "split": pl.String,
        "row": pl.UInt32,
        "block": pl.UInt32,
        "num_tokens": pl.UInt32,
        "num_chars": pl.Float64,
        "nats": pl.Float64,
        "cold_nats": pl.Float64,
        "spelling_nats": pl.Float64,
    }
)


@dataclass(frozen=True, kw_only=True)
class TokenLosses:
    """Nats of every target of a split [N], each document read from its beginning, and in cold windows."""

    documents: Documents
    nats: NDArray[np.floating]
    cold_nats: NDArray[np.floating]


def open_split(shards: Artefact, split: str) -> TokenStream:
    """Map the stream of one split."""
    return open_stream(shards.file(f"{split}.arrow"), shards.file(f"{split}-documents.arrow"), bptt=BLOCK)


def write_losses(folder: Path, losses: Mapping[str, TokenLosses]) -> None:
    """Write `scores.parquet` and `positions.json` of the scored splits."""
    pl.concat([tabulate_blocks(split, one) for split, one in losses.items()]).write_parquet(folder / SCORES_FILE)
    positions = {split: measure_positions(one) for split, one in losses.items()}
    (folder / POSITIONS_FILE).write_text(json.dumps(positions), encoding="utf-8")


def tabulate_blocks(split: str, losses: TokenLosses) -> pl.DataFrame:
    """Add nats up by block, as in SCORES."""
    documents, place = losses.documents, place_in_document(losses.documents)
    blocks_D = -(-documents.num_tokens.astype(np.int64) // BLOCK)
    document = np.repeat(np.arange(len(blocks_D)), blocks_D)
    block = np.arange(len(document)) - np.repeat(np.cumsum(blocks_D) - blocks_D, blocks_D)
    block_of_target = np.cumsum(place % BLOCK == 0) - 1
    tokens = np.bincount(block_of_target, minlength=len(document))
    share = tokens / documents.num_tokens[document]
    sums = {
        name: np.bincount(block_of_target, nats, minlength=len(document))
        for name, nats in (("nats", losses.nats), ("cold_nats", losses.cold_nats))
    }
    columns = {
        "split": np.repeat(split, len(document)),
        "row": documents.row[document],
        "block": block,
        "num_tokens": tokens,
        "num_chars": share * documents.num_chars[document],
        **sums,
        "spelling_nats": share * documents.spelling_nats[document],
    }
    return pl.DataFrame(columns).cast(dict(SCORES))


def measure_positions(losses: TokenLosses) -> dict[str, list[dict]]:
    """Mean nats per token by position in the document (stateful) and in the window (cold), in growing bins."""
    place = place_in_document(losses.documents)
    return {
        "stateful": bin_by_position(place, losses.nats),
        "cold": bin_by_position(place % BLOCK, losses.cold_nats),
    }


def bin_by_position(place: NDArray[np.int64], nats: NDArray[np.floating]) -> list[dict]:
    """Mean nats in bins of positions, each twice as wide as the one before; `place` counts from 0, a bin from 1."""
    bins = np.frexp(place + 1)[1] - 1
    sizes, sums = np.bincount(bins), np.bincount(bins, nats)
    longest = int(place.max(initial=-1)) + 1
    return [
        {
            "first": 2**index,
            "last": min(2 ** (index + 1) - 1, longest),
            "nats_per_token": float(sums[index] / sizes[index]),
            "num_tokens": int(sizes[index]),
        }
        for index in np.flatnonzero(sizes).tolist()
    ]


def place_in_document(documents: Documents) -> NDArray[np.int64]:
    """Where each target stands in its document, from 0."""
    sizes = documents.num_tokens.astype(np.int64)
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
