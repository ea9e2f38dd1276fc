"""Stage `encode` for texts: texts to token ids, with a vocabulary that no validation or test row has a part in."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from tasks.labelled.summaries import (
    DIVIDE_ALIKE,
    LABELS_FILE,
    SPLITS,
    UNLABELLED,
    EncodedSummary,
    LabelledSplitSummary,
)
from tasks.store.artefacts import Artefact
from tasks.text.encoding import OTHER_UNITS, TokenSettings, encode_subwords, encode_words
from tasks.text.vocabulary import SPECIALS, UNKNOWN_ID, Vocabulary, tokens_of_text

# Of the words of a split may be unknown before it is a problem that the summary of a run begins with.
MOST_UNKNOWN = 0.5
UNITS = {"word": "words", "char": "characters", "subword": "subwords"}


class EncodeSettings(TokenSettings):
    """How texts become ids."""

    tokenizer: Literal["word", "char", "subword"] = Field(
        "word", description="Unit of text: words and punctuation, code points, or byte-pair merges."
    )
    lowercase: bool = Field(True, description="Fold case before tokenizing.")
    unlabelled: bool = Field(
        False,
        description="Also encode texts without a label, and learn the vocabulary from them, too: for pretraining and "
        "virtual adversarial training.",
    )


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
    learned = ["train"]
    if settings.unlabelled and divided.splits.get(UNLABELLED):
        texts[UNLABELLED] = pl.scan_parquet(splits.file(f"{UNLABELLED}.parquet")).select("row", "text")
        learned.append(UNLABELLED)
    write = encode_subwords if settings.tokenizer == "subword" else encode_words
    vocabulary = write(texts, settings, folder, learned)
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
