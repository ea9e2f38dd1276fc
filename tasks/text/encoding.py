"""Texts to token ids, with a vocabulary learned from the training rows alone.

Each text meets the tokenizer's regular expression once: tokens are parked as categorical codes, counted by a
streaming group-by, and mapped to ids by a cast to `pl.Enum`, where a token outside the vocabulary is a null.
"""

import contextlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from rnnmodels.config import Settings
from tasks.errors import InputError
from tasks.progress import Progress, emit
from tasks.text.subwords import learn_subwords
from tasks.text.vocabulary import Vocabulary, tokens_of_text

OTHER_UNITS = 'set encode.tokenizer = "char" or "subword", as for texts without spaces between words'
# Small chunks and row groups keep memory flat; larger ones were no faster.
CHUNK_ROWS = 2_000
PARKED: dict[str, Any] = {"compression": "uncompressed", "statistics": False, "row_group_size": 5_000}
ENCODED: dict[str, Any] = {"compression": "lz4", "row_group_size": 5_000}


class TokenSettings(Settings):
    """How texts become ids."""

    tokenizer: str
    lowercase: bool
    max_size: int = Field(30_000, ge=1, le=4_000_000, description="Maximum vocabulary size, without special tokens.")
    min_count: int = Field(2, ge=1, le=1_000_000, description="Minimum occurrences of an entry in the training rows.")


@dataclass(frozen=True)
class ParkedTokens:
    """Texts cut into tokens: files by split, with a list column `codes`, and what these mean."""

    files: dict[str, Path]
    categories: pl.Categories

    def count(self, split: str) -> pl.DataFrame:
        """How often each token of a split occurs: columns `code`, `token` and `count`."""
        exploded = self.scan(split).select(code=pl.col("codes").list.explode(keep_nulls=False, empty_as_null=False))
        counts = exploded.group_by("code").agg(count=pl.len()).collect(engine="streaming")
        return counts.select("code", token=pl.col("code").cat.to(self._type).cast(pl.String), count="count")

    def scan(self, split: str) -> pl.LazyFrame:
        """The rows of a split, with `codes`."""
        return pl.scan_parquet(self.files[split])

    @property
    def tokens(self) -> pl.Expr:
        """What the codes of a row mean, as a list."""
        return pl.col("codes").list.eval(pl.element().cat.to(self._type))

    @property
    def _type(self) -> pl.Categorical:
        return pl.Categorical(self.categories)


@contextlib.contextmanager
def parked_tokens(
    texts: Mapping[str, pl.LazyFrame], *, tokenizer: str, lowercase: bool, folder: Path
) -> Generator[ParkedTokens]:
    """Cut the texts of each split into tokens, and keep the codes of these in files as long as the block lasts."""
    categories = pl.Categories.random()
    # Polars forgets what the codes mean when no column of this type is left; this one lives as long as the call.
    _alive = pl.Series([""], dtype=pl.Categorical(categories))
    cut = tokens_of_text(pl.col("text"), tokenizer=tokenizer, lowercase=lowercase)
    codes = cut.cast(pl.List(pl.Categorical(categories))).list.eval(pl.element().to_physical())
    files = {split: folder / f"{split}.codes.parquet" for split in texts}
    with pl.Config(streaming_chunk_size=CHUNK_ROWS):
        for split, frame in texts.items():
            # Parking numbers takes half the time of parking the categories themselves.
            frame.with_columns(codes=codes).drop("text").sink_parquet(files[split], **PARKED)
            emit(Progress(stage="encode", note=f"cut the {split} rows into tokens"))
        yield ParkedTokens(files, categories)
    for path in files.values():
        path.unlink()


def choose_tokens(counts: pl.DataFrame, settings: TokenSettings) -> tuple[str, ...]:
    """Take the most frequent tokens; ties break by token, so that row order never changes the vocabulary.

    Raises InputError (E-DATA-010) if no token is frequent enough.
    """
    frequent = counts.filter(pl.col("count") >= settings.min_count)
    if frequent.is_empty():
        most = counts.select(pl.col("count").max()).item() or 0
        helps = "set encode.min_count = 2" if most > 1 else OTHER_UNITS
        raise InputError(
            "E-DATA-010",
            f"no token occurs {settings.min_count} times in the training rows; the most frequent occurs {most} times.",
            fix=f"{helps}, or add training rows.",
        )
    ranked = frequent.sort("count", "token", descending=[True, False])
    return tuple(ranked["token"].head(settings.max_size))


def encode_words(
    texts: Mapping[str, pl.LazyFrame], settings: TokenSettings, folder: Path, learned: Sequence[str] = ("train",)
) -> Vocabulary:
    """Write `<split>.parquet` with ids for each frame of `texts`, in two streaming passes over codes.

    The vocabulary is that of the `learned` splits.
    """
    tokenizer, lowercase = settings.tokenizer, settings.lowercase
    with parked_tokens(texts, tokenizer=tokenizer, lowercase=lowercase, folder=folder) as parked:
        counts = pl.concat([parked.count(split) for split in learned])
        counts = counts.group_by("token").agg(pl.col("count").sum()) if len(learned) > 1 else counts
        vocabulary = Vocabulary(tokenizer, lowercase, choose_tokens(counts, settings))
        for split in texts:
            encoded = parked.scan(split).with_columns(tokens=vocabulary.ids_of_tokens(parked.tokens)).drop("codes")
            encoded.sink_parquet(folder / f"{split}.parquet", **ENCODED)
    return vocabulary


def encode_subwords(
    texts: Mapping[str, pl.LazyFrame], settings: TokenSettings, folder: Path, learned: Sequence[str] = ("train",)
) -> Vocabulary:
    """Write `<split>.parquet` with byte-pair ids for each frame of `texts`, learned from some of them."""
    vocabulary = learn_subwords(
        pl.concat([texts[split].select("text") for split in learned]),
        lowercase=settings.lowercase,
        max_size=settings.max_size,
        min_count=settings.min_count,
    )
    for split, frame in texts.items():
        ids = vocabulary.ids_of_text(pl.col("text"))
        frame.with_columns(tokens=ids).drop("text").sink_parquet(folder / f"{split}.parquet", **ENCODED)
    return vocabulary
