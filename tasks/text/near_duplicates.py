"""Texts that are almost the same: MinHash over word shingles, each candidate pair verified exactly.

Sources: Broder 1997 (resemblance of documents); Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from tasks.text.tokenizers import composed

SHINGLE_WORDS = 3
# Scripts that part words by nothing: there a character counts as a word, lest a whole sentence be one.
UNPARTED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
WORD = rf"[{UNPARTED}]|[\w--{UNPARTED}]+"
# 20 bands of 3 find a pair of Jaccard similarity 0.7 with probability 0.9998, one of 0.8 with 0.9999994.
NUM_BANDS, ROWS_PER_BAND = 20, 3
# A group of texts that share a band is searched this far on each side, so boilerplate cannot cost quadratic time.
MAX_NEIGHBOURS = 10
READ_ROWS = 5_000

_rng = np.random.default_rng(20_240_601)
_MULTIPLIERS = _rng.integers(1, 2**63, NUM_BANDS * ROWS_PER_BAND, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_MIX = _rng.integers(1, 2**63, SHINGLE_WORDS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def find_clusters(texts: pl.LazyFrame, *, threshold: float) -> pl.DataFrame:
    """Group texts whose shingle sets have a Jaccard similarity of at least `threshold`, transitively.

    `texts` has columns `row` and `text`. Returns `row` and `cluster` (the smallest row of its cluster) of
    the rows that have such a partner.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = _similar_pairs(texts, _candidate_pairs(_sign(texts)), threshold)
    rows, positions = np.unique(pairs, return_inverse=True)
    left, right = positions.reshape(-1, 2).T
    links = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(len(rows), len(rows)))
    _, component = connected_components(links, directed=False)
    members = pl.DataFrame({"row": rows.astype(np.uint32), "component": component})
    return members.select("row", cluster=pl.col("row").min().over("component"))


def shingle_batches(texts: pl.LazyFrame) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield batches of (row ids, start of each row's shingles, shingle hashes), rows without words left out."""
    words = composed(pl.col("text").str.to_lowercase()).str.extract_all(WORD)
    hashed = words.list.eval(pl.element().hash(0))
    for batch in texts.select("row", hashes=hashed).collect_batches(chunk_size=READ_ROWS):
        worded = batch.filter(pl.col("hashes").list.len() > 0)
        if worded.height:
            counts = worded["hashes"].list.len().to_numpy().astype(np.int64)
            starts = np.cumsum(counts) - counts
            yield worded["row"].to_numpy(), starts, _shingle(worded["hashes"].list.explode().to_numpy(), starts, counts)


def _shingle(words: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """One shingle per word: the word and its followers within the row; past the row's end they count as empty."""
    words_to_end = np.repeat(starts + counts, counts) - np.arange(len(words))
    shingles = words * _MIX[0]
    for distance in range(1, SHINGLE_WORDS):
        follower = np.where(words_to_end > distance, np.roll(words, -distance), np.uint64(0))
        shingles = (shingles ^ (shingles >> np.uint64(29))) * _MIX[distance] + follower
    return shingles ^ (shingles >> np.uint64(32))


def _sign(texts: pl.LazyFrame) -> pl.DataFrame:
    """One line per row and band, with the hash of the row's minima in that band."""
    parts = []
    for rows, starts, shingles in shingle_batches(texts):
        minima = np.stack([np.minimum.reduceat(shingles * multiplier, starts) for multiplier in _MULTIPLIERS])
        bands = np.bitwise_xor.reduce(minima.reshape(NUM_BANDS, ROWS_PER_BAND, -1) * _MIX[None, :, None], axis=1)
        parts.append(
            pl.DataFrame(
                {
                    "band": np.repeat(np.arange(NUM_BANDS, dtype=np.uint8), len(rows)),
                    "hash": bands.reshape(-1),
                    "row": np.tile(rows, NUM_BANDS),
                }
            )
        )
    return pl.concat(parts) if parts else pl.DataFrame(schema={"band": pl.UInt8, "hash": pl.UInt64, "row": pl.UInt32})


def _candidate_pairs(signatures: pl.DataFrame) -> np.ndarray:
    """Pairs of rows [pairs, 2] that agree in at least one band."""
    ordered = signatures.sort("band", "hash", "row")
    band, hashed, row = (ordered[name].to_numpy() for name in ("band", "hash", "row"))
    pairs = [np.zeros((0, 2), dtype=np.uint32)]
    for distance in range(1, min(MAX_NEIGHBOURS + 1, len(row))):
        agree = (band[distance:] == band[:-distance]) & (hashed[distance:] == hashed[:-distance])
        pairs.append(np.column_stack([row[:-distance][agree], row[distance:][agree]]))
    return np.unique(np.concatenate(pairs), axis=0)


def _similar_pairs(texts: pl.LazyFrame, pairs: np.ndarray, threshold: float) -> np.ndarray:
    """The candidates whose shingle sets are similar enough."""
    wanted = texts.filter(pl.col("row").is_in(pl.Series(np.unique(pairs)).implode()))
    shingles_of = {
        row: np.unique(part)
        for rows, starts, shingles in shingle_batches(wanted)
        for row, part in zip(rows, np.split(shingles, starts[1:]), strict=True)
    }
    similar = [jaccard(shingles_of[left], shingles_of[right]) >= threshold for left, right in pairs]
    return pairs[np.asarray(similar, dtype=bool)]


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """Shared share of two sorted sets."""
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)
