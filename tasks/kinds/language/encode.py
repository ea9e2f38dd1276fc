"""Stage `encode` for language models: documents to token ids, with a vocabulary learned from the training text alone.

With the ids stand the characters of each document as it was cut, and what its unknown tokens cost to spell: with both,
models are compared by nats per character, whatever their tokens are.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from tasks.errors import InputError
from tasks.kinds.language.summaries import SPLITS, EncodedTextSummary
from tasks.store.artefacts import Artefact
from tasks.text.encoding import (
    ENCODED,
    TokenSettings,
    choose_tokens,
    encode_subwords,
    parked_tokens,
)
from tasks.text.pieces import join_pieces, write_pieces
from tasks.text.spelling import Speller
from tasks.text.tokenizers import normalized, singly_spaced
from tasks.text.vocabulary import UNKNOWN_ID, Vocabulary

# Of the tokens of a split may be unknown before it is a problem that the summary of a run begins with.
MOST_UNKNOWN = 0.2
LOSSY = (
    "the word tokenizer leaves out white space{case}, so models predict less than the whole text: their nats per "
    "character are comparable with one another, and not with those of characters or subwords"
)
UNITS = {"word": "words", "char": "characters", "space": "tokens", "subword": "subwords"}


class LanguageEncodeSettings(TokenSettings):
    """How texts become ids."""

    tokenizer: Literal["char", "word", "subword", "space"] = Field(
        "char",
        description="Unit of text: code points, words and punctuation, byte-pair merges, or what stands between spaces "
        "in a text that was cut into tokens before, with line ends as tokens.",
    )
    lowercase: bool = Field(False, description="Fold case before tokenizing.")
    min_count: int = Field(1, ge=1, le=1_000_000, description="Minimum occurrences of an entry in the training text.")


def write_encoded(folder: Path, *, splits: Artefact, settings: LanguageEncodeSettings) -> EncodedTextSummary:
    """Fill the artefact's folder: ids of each split, `vocabulary.json`, and `spelling.json`.

    Raises InputError: E-CFG-005, E-DATA-010, E-DATA-060.
    """
    pieces = {name: _write_pieces(splits.file(f"{name}.parquet"), settings, folder) for name in SPLITS}
    write = _encode_subwords if settings.tokenizer == "subword" else _encode_words
    vocabulary, speller = write(pieces, settings, folder)
    vocabulary.save(folder / "vocabulary.json")
    speller.save(folder / "spelling.json")
    measured = {name: measure(folder / f"{name}.parquet") for name in SPLITS}
    refuse_empty(measured, settings)
    shares = {name: round(figures["num_unknown"] / figures["num_tokens"], 6) for name, figures in measured.items()}
    return EncodedTextSummary(
        rows=sum(figures["rows"] for figures in measured.values()),
        tokenizer=settings.tokenizer,
        vocabulary_size=vocabulary.size,
        num_tokens={name: figures["num_tokens"] for name, figures in measured.items()},
        num_chars={name: figures["num_chars"] for name, figures in measured.items()},
        oov_share=shares,
        note=LOSSY.format(case=" and case" if settings.lowercase else "") if settings.tokenizer == "word" else "",
        problems=find_problems(shares, settings),
    )


def measure(path: Path) -> dict[str, int]:
    """Count the documents, tokens, unknown tokens and characters of an encoded split."""
    num_unknown = pl.col("tokens").list.count_matches(UNKNOWN_ID)
    counts = pl.scan_parquet(path).select(
        rows=pl.len(),
        num_tokens=pl.col("tokens").list.len().sum(),
        num_unknown=num_unknown.sum(),
        num_chars=pl.col("num_chars").cast(pl.UInt64).sum(),
    )
    return counts.collect(engine="streaming").row(0, named=True)


def refuse_empty(measured: Mapping[str, Mapping[str, int]], settings: LanguageEncodeSettings) -> None:
    """Raise InputError (E-DATA-060) for a split whose text is nothing but what the tokenizer leaves out."""
    for name, words in (("valid", "validation"), ("test", "test")):
        if not measured[name]["num_tokens"]:
            raise InputError(
                "E-DATA-060",
                f"the {words} text has no {UNITS[settings.tokenizer]}, only white space.",
                fix='add text, or set encode.tokenizer = "char".',
            )


def find_problems(shares: dict[str, float], settings: LanguageEncodeSettings) -> list[str]:
    """Say whether much of the text that chooses and tests models is unknown to them."""
    return [
        f"{shares[name]:.0%} of the {UNITS[settings.tokenizer]} of the {words} text are unknown to the vocabulary of "
        'the training text; set encode.tokenizer = "subword" or "char", or a larger encode.max_size'
        for name, words in (("valid", "validation"), ("test", "test"))
        if shares[name] > MOST_UNKNOWN
    ][:1]


def _write_pieces(path: Path, settings: LanguageEncodeSettings, folder: Path) -> pl.LazyFrame:
    text = normalized(pl.col("text"), lowercase=settings.lowercase)
    text = singly_spaced(text) if settings.tokenizer == "space" else text
    return write_pieces(pl.scan_parquet(path).with_columns(text), folder / f"{path.stem}.pieces.parquet")


def _encode_words(
    pieces: dict[str, pl.LazyFrame], settings: LanguageEncodeSettings, folder: Path
) -> tuple[Vocabulary, Speller]:
    tokenizer, lowercase = settings.tokenizer, settings.lowercase
    with parked_tokens(pieces, tokenizer=tokenizer, lowercase=lowercase, folder=folder) as parked:
        counts = {split: parked.count(split) for split in pieces}
        vocabulary = Vocabulary(tokenizer, lowercase, choose_tokens(counts["train"], settings))
        speller = Speller.learn(counts["train"])
        nats = spelling_nats(counts.values(), vocabulary, speller)
        for split in pieces:
            tokens = vocabulary.ids_one_by_one(parked.tokens)
            encoded = parked.scan(split).select("row", "num_chars", tokens=tokens, spelling_nats=nats)
            _join(encoded, split, folder)
    return vocabulary, speller


def spelling_nats(counts: Iterable[pl.DataFrame], vocabulary: Vocabulary, speller: Speller) -> pl.Expr:
    """What the unknown tokens of a row cost to spell, given the tokens of all splits."""
    seen = pl.concat([counted.select("code", "token") for counted in counts]).unique("code")
    unknown = seen.filter(~pl.col("token").is_in(list(vocabulary.tokens)))
    if unknown.is_empty():
        return pl.lit(0.0)
    costs = speller.nats_of(unknown["token"])
    each = pl.element().replace_strict(unknown["code"], costs, default=0.0, return_dtype=pl.Float64)
    return pl.col("codes").list.eval(each).list.sum()


def _encode_subwords(
    pieces: dict[str, pl.LazyFrame], settings: LanguageEncodeSettings, folder: Path
) -> tuple[Vocabulary, Speller]:
    aside = folder / "subwords"
    aside.mkdir()
    vocabulary = encode_subwords(pieces, settings, aside)
    for split in pieces:
        path = aside / f"{split}.parquet"
        _join(pl.scan_parquet(path).with_columns(spelling_nats=pl.lit(0.0)), split, folder)
        path.unlink()
    aside.rmdir()
    # Every byte is a token, so that there is nothing to spell.
    return vocabulary, Speller({}, 0)


def _join(encoded: pl.LazyFrame, split: str, folder: Path) -> None:
    """Write the documents of a split, and remove their pieces."""
    path = folder / f"{split}.encoded.parquet"
    encoded.select("row", "tokens", "num_chars", "spelling_nats").sink_parquet(path, **ENCODED)
    join_pieces(path, folder / f"{split}.parquet")
    path.unlink()
    (folder / f"{split}.pieces.parquet").unlink()
