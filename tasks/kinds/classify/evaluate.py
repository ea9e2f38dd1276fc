"""Evaluation of text classifiers: sliced by label, length and unknown tokens; mistakes are quoted."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from tasks.contract.evaluation import EvaluationSummary
from tasks.labelled.evaluate import (
    Answers,
    ClassificationSettings,
    Slice,
    cut_in_quarters,
    join_predictions,
    slice_by_label,
    slice_by_length,
    write_scores,
)
from tasks.labelled.summaries import EncodedSummary
from tasks.store.artefacts import Artefact
from tasks.text.vocabulary import UNKNOWN_ID

INPUTS = ("encoded", "splits")
QUOTED_CHARACTERS = 300


def read_predictions(model: Artefact, encoded: Artefact, split: str) -> pl.DataFrame:
    """Join predictions on one split with each row's `length` in tokens and `oov_share`, its share of unknown ones."""
    tokens = pl.col("tokens").list
    length = tokens.len()
    oov_share = tokens.count_matches(UNKNOWN_ID) / length.clip(1)
    sequences = pl.scan_parquet(encoded.file(f"{split}.parquet")).select("row", length=length, oov_share=oov_share)
    return join_predictions(model, sequences, split)


def slice_rows(test: pl.DataFrame, labels: Sequence[str]) -> Iterator[Slice]:
    """Slice rows by label, and in quarters by length and by unknown tokens."""
    yield from slice_by_label(test, labels)
    yield from slice_by_length(test, "tokens")
    for low, high, inside in cut_in_quarters(test["oov_share"].to_numpy()):
        yield "unknown tokens", f"{low:.1%} to {high:.1%}", inside


def quote_texts(texts: pl.LazyFrame) -> pl.LazyFrame:
    """Row and text, a long one cut to its beginning."""
    text = pl.col("text")
    is_long = text.str.len_chars() > QUOTED_CHARACTERS
    return texts.select("row", pl.when(is_long).then(text.str.head(QUOTED_CHARACTERS) + "…").otherwise(text))


def write_evaluation(
    folder: Path, *, model: Artefact, encoded: Artefact, splits: Artefact, settings: ClassificationSettings
) -> EvaluationSummary:
    """Fill the artefact's folder: `metrics.json` and `mistakes.parquet`."""
    labels = EncodedSummary.of(encoded).labels
    valid, test = (read_predictions(model, encoded, split) for split in ("valid", "test"))
    quotes = quote_texts(pl.scan_parquet(splits.file("test.parquet")))
    answers = Answers(valid=valid, test=test, slices=slice_rows(test, labels), quotes=quotes)
    return write_scores(folder, answers, model=model, encoded=encoded, encoder="encode.tokenizer", settings=settings)
