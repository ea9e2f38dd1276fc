"""Evaluation of classifiers of sequences: sliced by label and length; mistakes are named by the id of the sequence."""

from pathlib import Path

import polars as pl

from tasks.contract.evaluation import EvaluationSummary
from tasks.labelled.evaluate import (
    Answers,
    ClassificationSettings,
    join_predictions,
    slice_by_label,
    slice_by_length,
    write_scores,
)
from tasks.labelled.summaries import EncodedSummary
from tasks.store.artefacts import Artefact

INPUTS = ("encoded", "splits")


def read_predictions(model: Artefact, encoded: Artefact, split: str) -> pl.DataFrame:
    """Join predictions on one split with each row's `length` in steps."""
    lengths = pl.scan_parquet(encoded.file(f"{split}.parquet")).select("row", "length")
    return join_predictions(model, lengths, split)


def quote_sequences(sequences: pl.LazyFrame) -> pl.LazyFrame:
    """Row and text: the id of a sequence, and how long it is."""
    return sequences.select("row", text=pl.format("{}, {} steps", "series", "length"))


def write_evaluation(
    folder: Path, *, model: Artefact, encoded: Artefact, splits: Artefact, settings: ClassificationSettings
) -> EvaluationSummary:
    """Fill the artefact's folder: `metrics.json` and `mistakes.parquet`."""
    labels = EncodedSummary.of(encoded).labels
    valid, test = (read_predictions(model, encoded, split) for split in ("valid", "test"))
    slices = [*slice_by_label(test, labels), *slice_by_length(test, "steps")]
    quotes = quote_sequences(pl.scan_parquet(splits.file("test.parquet")))
    answers = Answers(valid=valid, test=test, slices=slices, quotes=quotes)
    return write_scores(folder, answers, model=model, encoded=encoded, encoder="encode.method", settings=settings)
