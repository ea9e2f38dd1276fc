"""Evaluation: sliced by label and length; mistakes show the line."""

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


def write_evaluation(
    folder: Path, *, model: Artefact, encoded: Artefact, splits: Artefact, settings: ClassificationSettings
) -> EvaluationSummary:
    """Fill the artefact's folder: `metrics.json` and `mistakes.parquet`."""
    valid, test = (read_predictions(model, encoded, split) for split in ("valid", "test"))
    slices = [*slice_by_label(test, EncodedSummary.of(encoded).labels), *slice_by_length(test, "digits")]
    quotes = pl.scan_parquet(splits.file("test.parquet")).select("row", "text")
    answers = Answers(valid=valid, test=test, slices=slices, quotes=quotes)
    return write_scores(folder, answers, model=model, encoded=encoded, encoder="shard.max_length", settings=settings)


def read_predictions(model: Artefact, encoded: Artefact, split: str) -> pl.DataFrame:
    """Join predictions on one split with the length of each line."""
    return join_predictions(model, pl.scan_parquet(encoded.file(f"{split}.parquet")).select("row", "length"), split)
