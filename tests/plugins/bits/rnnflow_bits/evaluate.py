"""Evaluation: sliced by label and length; mistakes show the line."""

from pathlib import Path

import polars as pl

from tasks.labelled.evaluate import (
    Answers,
    ClassificationSettings,
    join_predictions,
    slice_by_label,
    slice_by_length,
    write_scores,
)
from tasks.store.artefacts import Artefact

INPUTS = ("encoded", "splits")


def write_evaluation(
    folder: Path, *, model: Artefact, encoded: Artefact, splits: Artefact, settings: ClassificationSettings
) -> dict:
    """Fill the artefact's folder: `metrics.json` and `mistakes.parquet`."""
    lengths = {
        split: pl.scan_parquet(encoded.file(f"{split}.parquet")).select("row", "length") for split in ("valid", "test")
    }
    predictions = {split: join_predictions(model, of_split, split) for split, of_split in lengths.items()}
    test = predictions["test"]
    answers = Answers(
        **predictions,
        slices=[*slice_by_label(test, encoded.summary["labels"]), *slice_by_length(test, "digits")],
        quotes=pl.scan_parquet(splits.file("test.parquet")).select("row", "text"),
    )
    return write_scores(folder, answers, model=model, encoded=encoded, encoder="encode.backwards", settings=settings)
