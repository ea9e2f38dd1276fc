"""Stage `encode` for texts: texts to token ids, with a vocabulary learned from the training rows alone.

Each text meets the tokenizer's regular expression once: tokens are parked as categorical codes, counted by a
streaming group-by, and mapped to ids by a cast to `pl.Enum`, where a token outside the vocabulary is a null.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from rnnmodels.config import Settings
from tasks.errors import InputError
from tasks.labelled.summaries import DIVIDE_ALIKE, LABELS_FILE, SPLITS, EncodedSummary, LabelledSplitSummary
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact
from tasks.text.subwords import learn_subwords
from tasks.text.vocabulary import SPECIALS, UNKNOWN_ID, Vocabulary, tokens_of_text

# Of the words of a split may be unknown before it is a problem that the summary of a run begins with.
MOST_UNKNOWN = 0.5
OTHER_UNITS = 'set encode.tokenizer = "char" or "subword", as for texts without spaces between words'
UNITS = {"word": "words", "char": "characters", "subword": "subwords"}
# Small chunks and row groups keep memory flat; larger ones were no faster.
CHUNK_ROWS = 2_000
PARKED: dict[str, Any] = {"compression": "uncompressed", "statistics": False, "row_group_size": 5_000}
ENCODED: dict[str, Any] = {"compression": "lz4", "row_group_size": 5_000}


class EncodeSettings(Settings):
    """How texts become ids."""

    tokenizer: Literal["word", "char", "subword"] = Field(
        "word", description="Unit of text: words and punctuation, code points, or byte-pair merges."
    )
    lowercase: bool = Field(True, description="Fold case before tokenizing.")
    max_size: int = Field(30_000, ge=1, le=4_000_000, description="Maximum vocabulary size, without special tokens.")
    min_count: int = Field(2, ge=1, le=1_000_000, description="Minimum occurrences of an entry in the training rows.")


def count_tokens(codes: pl.LazyFrame, categories: pl.Categorical) -> pl.DataFrame:
    """Count each token of a list column `codes`: one row per distinct token, columns `token` and `count`."""
    exploded = codes.select(code=pl.col("codes").list.explode(keep_nulls=False, empty_as_null=False))
    counts = exploded.group_by("code").agg(count=pl.len()).collect(engine="streaming")
    return counts.select(token=pl.col("code").cat.to(categories).cast(pl.String), count="count")


def choose_tokens(counts: pl.DataFrame, settings: EncodeSettings) -> tuple[str, ...]:
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


def encode_words(texts: dict[str, pl.LazyFrame], settings: EncodeSettings, folder: Path) -> Vocabulary:
    """Write `<split>.parquet` with ids for each frame of `texts`, in two streaming passes over codes."""
    categories = pl.Categorical(pl.Categories.random())
    # Polars forgets what the codes mean when no column of this type is left; this one lives as long as the call.
    _alive = pl.Series([""], dtype=categories)
    cut = tokens_of_text(pl.col("text"), tokenizer=settings.tokenizer, lowercase=settings.lowercase)
    codes = cut.cast(pl.List(categories)).list.eval(pl.element().to_physical())
    parked = {split: folder / f"{split}.codes.parquet" for split in texts}
    with pl.Config(streaming_chunk_size=CHUNK_ROWS):
        for split, frame in texts.items():
            # Parking numbers takes half the time of parking the categories themselves.
            frame.with_columns(codes=codes).drop("text").sink_parquet(parked[split], **PARKED)
            emit(Progress(stage="encode", note=f"cut the {split} rows into tokens"))
        counts = count_tokens(pl.scan_parquet(parked["train"]), categories)
        vocabulary = Vocabulary(settings.tokenizer, settings.lowercase, choose_tokens(counts, settings))
        tokens = pl.col("codes").list.eval(pl.element().cat.to(categories))
        for split, path in parked.items():
            encoded = pl.scan_parquet(path).with_columns(tokens=vocabulary.ids_of_tokens(tokens)).drop("codes")
            encoded.sink_parquet(folder / f"{split}.parquet", **ENCODED)
            path.unlink()
    return vocabulary


def encode_subwords(texts: dict[str, pl.LazyFrame], settings: EncodeSettings, folder: Path) -> Vocabulary:
    """Write `<split>.parquet` with byte-pair ids for each frame of `texts`."""
    vocabulary = learn_subwords(
        texts["train"], lowercase=settings.lowercase, max_size=settings.max_size, min_count=settings.min_count
    )
    for split, frame in texts.items():
        ids = vocabulary.ids_of_text(pl.col("text"))
        frame.with_columns(tokens=ids).drop("text").sink_parquet(folder / f"{split}.parquet", **ENCODED)
    return vocabulary


def measure_tokens(path: Path, vocabulary: Vocabulary) -> dict:
    """Count the tokens of an encoded split and the share outside the vocabulary, punctuation counted and not."""
    ids = pl.col("tokens").list.explode(keep_nulls=False, empty_as_null=False)
    is_mark = pl.all().is_in(find_marks(vocabulary))
    counts = pl.scan_parquet(path).select(ids)
    counts = counts.select(num_tokens=pl.len(), unknown=(pl.all() == UNKNOWN_ID).sum(), marks=is_mark.sum())
    num_tokens, num_unknown, num_marks = counts.collect(engine="streaming").row(0)
    shares = {"oov_share": num_tokens, "unknown_words": num_tokens - num_marks}
    return {"num_tokens": num_tokens, **{name: round(num_unknown / max(of, 1), 6) for name, of in shares.items()}}


def find_marks(vocabulary: Vocabulary) -> list[int]:
    """Ids of the tokens that hold neither a letter nor a digit."""
    first = len(SPECIALS)
    return [first + index for index, token in enumerate(vocabulary.tokens) if not any(map(str.isalnum, token))]


def find_problems(measured: dict[str, dict], vocabulary: Vocabulary, find_remedy: Callable[[str], str]) -> list[str]:
    """Say whether models read next to nothing of the rows that choose and test them, and what helps in that split."""
    unit = UNITS[vocabulary.tokenizer]
    return [
        f"{measured[name]['unknown_words']:.0%} of the {unit} of the {words} rows are unknown to the vocabulary of the "
        f"training rows, so models can say little about these texts; {find_remedy(name)}"
        for name, words in (("valid", "validation"), ("test", "test"))
        if measured[name]["unknown_words"] > MOST_UNKNOWN
    ][:1]


def find_remedy(
    split: str, texts: dict[str, pl.LazyFrame], settings: EncodeSettings, divided: LabelledSplitSummary
) -> str:
    """Name the setting that makes most of a split's tokens known."""
    if divided.is_mostly_alike:
        return DIVIDE_ALIKE
    if settings.tokenizer == "subword":  # whose bytes are all known, so that what is unknown are empty texts
        return "train on texts of the same kind"
    if settings.min_count > 1 and measure_unseen(texts["train"], texts[split], settings) <= MOST_UNKNOWN:
        return "set encode.min_count = 1, or add training rows"
    return OTHER_UNITS if settings.tokenizer == "word" else "train on texts of the same kind"


def measure_unseen(train: pl.LazyFrame, other: pl.LazyFrame, settings: EncodeSettings) -> float:
    """Share of the words or characters of texts that do not occur in the training rows at all."""
    cut = tokens_of_text(pl.col("text"), tokenizer=settings.tokenizer, lowercase=settings.lowercase)
    seen, tokens = (frame.select(token=cut.list.explode()).drop_nulls() for frame in (train, other))
    tokens = tokens.filter(pl.col("token").str.contains(r"[\p{Alphabetic}\p{N}]"))
    num_unseen = tokens.join(seen.unique(), on="token", how="anti").select(pl.len())
    return num_unseen.collect().item() / max(1, tokens.select(pl.len()).collect().item())


def write_encoded(folder: Path, *, splits: Artefact, settings: EncodeSettings) -> EncodedSummary:
    """Fill the artefact's folder: ids of each split, the vocabulary, the label names."""
    divided = LabelledSplitSummary.of(splits)
    files = {name: pl.scan_parquet(splits.file(f"{name}.parquet")) for name in SPLITS}
    texts = {name: rows.select("row", "text", target=divided.target) for name, rows in files.items()}
    write = encode_subwords if settings.tokenizer == "subword" else encode_words
    vocabulary = write(texts, settings, folder)
    vocabulary.save(folder / "vocabulary.json")
    (folder / LABELS_FILE).write_text(json.dumps(divided.labels, ensure_ascii=False), encoding="utf-8")
    measured = {name: measure_tokens(folder / f"{name}.parquet", vocabulary) for name in SPLITS}
    remedy = partial(find_remedy, texts=texts, settings=settings, divided=divided)
    return EncodedSummary(
        rows=sum(divided.splits[name] for name in SPLITS),
        vocabulary_size=vocabulary.size,
        labels=divided.labels,
        num_tokens={name: figures["num_tokens"] for name, figures in measured.items()},
        oov_share={name: figures["oov_share"] for name, figures in measured.items()},
        problems=find_problems(measured, vocabulary, remedy),
    )
