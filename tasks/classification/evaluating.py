"""What a classifier is worth, with intervals, where it fails and whether its confidence can be believed.

The temperature is fitted on validation; nothing is chosen on test.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from tasks.classification.metrics import (
    Sample,
    bin_by_confidence,
    count_confusion,
    fit_temperature,
    log_softmax,
    measure_with_intervals,
)
from tasks.evaluate import EvaluationSettings
from tasks.intervals import Interval, share_with_interval
from tasks.progress import Progress, emit
from tasks.store import Artefact
from tasks.text.vocabulary import UNKNOWN_ID

INPUTS = ("encoded", "splits")
QUARTILES = (0.25, 0.5, 0.75)
QUOTED_CHARACTERS = 300


class ClassificationSettings(EvaluationSettings):
    """How classifiers are scored, compared and inspected."""

    presented_by: ClassVar[str] = "tasks.classification.presenting"
    higher_is_better: ClassVar[frozenset[str]] = frozenset({"accuracy"})

    select_by: Literal["loss", "accuracy"] = Field("loss", description="Validation metric that picks the best model.")
    num_bins: int = Field(15, ge=2, le=1000, description="Equal-width bins of confidence for the calibration error.")
    num_mistakes: int = Field(20, ge=0, le=100_000, description="Most confident mistakes on test to keep.")


def read_predictions(model: Artefact, encoded: Artefact, split: str) -> pl.DataFrame:
    """Join predictions on one split with each row's `length` in tokens and `oov_share`, its share of unknown ones."""
    tokens = pl.col("tokens").list
    length = tokens.len()
    oov_share = tokens.count_matches(UNKNOWN_ID) / length.clip(1)
    sequences = pl.scan_parquet(encoded.file(f"{split}.parquet")).select("row", length=length, oov_share=oov_share)
    predictions = pl.scan_parquet(model.file("predictions.parquet")).filter(split=split).drop("split")
    joined = predictions.join(sequences, on="row", how="full", coalesce=True, validate="1:1").sort("row").collect()
    assert not any(joined.null_count().row(0)), f"{model.path} does not predict each {split} row once"
    return joined


def read_sample(predictions: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return logits [rows, classes] and targets [rows]."""
    column = predictions["logits"]
    logits = column.list.to_array(column.list.len().max()).to_numpy()
    assert np.isfinite(logits).all(), "a model may not predict infinite or undefined logits"
    return logits, predictions["target"].to_numpy()


def score_model(
    valid: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], settings: ClassificationSettings
) -> dict:
    """Compute metrics with intervals, temperature, confusion and calibration from logits and targets."""
    temperature = fit_temperature(*valid)
    measure = partial(
        measure_with_intervals, resamples=settings.resamples, confidence=settings.confidence, seed=settings.seed
    )
    bins = partial(bin_by_confidence, num_bins=settings.num_bins, level=settings.confidence)
    logits, targets = test
    return {
        "metrics": {
            name: measure(Sample(*sample, temperature, settings.num_bins))
            for name, sample in (("valid", valid), ("test", test))
        },
        "temperature": temperature,
        "confusion": count_confusion(logits, targets).tolist(),
        "calibration": {"before": bins(logits, targets), "after": bins(logits / temperature, targets)},
    }


def score_slices(test: pl.DataFrame, correct: np.ndarray, labels: Sequence[str], level: float) -> list[dict]:
    """Accuracy with its interval on parts of the test rows: labels, and quarters by length and by unknown tokens."""
    return [
        {"by": by, "slice": name, "rows": int(inside.sum()), "accuracy": _accuracy(correct[inside], level)}
        for by, name, inside in slice_rows(test, labels)
    ]


def slice_rows(test: pl.DataFrame, labels: Sequence[str]) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield what rows are sliced by, the slice's name and a mask of its rows; none is empty."""
    targets = test["target"].to_numpy()
    for index in np.unique(targets):
        yield "label", labels[index], targets == index
    for low, high, inside in cut_in_quarters(test["length"].to_numpy()):
        yield "length", f"{low} to {high} tokens", inside
    for low, high, inside in cut_in_quarters(test["oov_share"].to_numpy()):
        yield "unknown tokens", f"{low:.1%} to {high:.1%}", inside


def cut_in_quarters(values: np.ndarray) -> Iterator[tuple[float, float, np.ndarray]]:
    """Yield the smallest and largest value and the mask of each quarter; equal values stay together."""
    quarter = np.searchsorted(np.unique(np.quantile(values, QUARTILES)), values)
    for index in np.unique(quarter):
        inside = quarter == index
        yield values[inside].min(), values[inside].max(), inside


def find_mistakes(
    test: pl.DataFrame, logits: np.ndarray, texts: pl.LazyFrame, labels: Sequence[str], num_mistakes: int
) -> pl.DataFrame:
    """List the wrong predictions the model was surest of: row, text (its beginning), label, predicted, confidence."""
    name_of = {"old": list(range(len(labels))), "new": labels, "return_dtype": pl.String}
    wrong = (
        test.select("row", "target", predicted=pl.Series(logits.argmax(axis=1)))
        .with_columns(confidence=pl.Series(np.exp(log_softmax(logits).max(axis=1))))
        .filter(pl.col("predicted") != pl.col("target"))
        .sort("confidence", "row", descending=[True, False])
        .head(num_mistakes)
    )
    text = pl.col("text")
    is_long = text.str.len_chars() > QUOTED_CHARACTERS
    beginnings = texts.select("row", pl.when(is_long).then(text.str.head(QUOTED_CHARACTERS) + "…").otherwise(text))
    quoted = wrong.lazy().join(beginnings, on="row", how="left", maintain_order="left")
    return quoted.select(
        "row",
        "text",
        label=pl.col("target").replace_strict(**name_of),
        predicted=pl.col("predicted").replace_strict(**name_of),
        confidence="confidence",
    ).collect()


def write_evaluation(
    folder: Path, *, model: Artefact, encoded: Artefact, splits: Artefact, settings: ClassificationSettings
) -> dict:
    """Fill the artefact's folder: `metrics.json` and `mistakes.parquet`."""
    name, labels = model.summary["name"], encoded.summary["labels"]
    valid, test = (read_predictions(model, encoded, split) for split in ("valid", "test"))
    logits, targets = read_sample(test)
    scores = score_model(read_sample(valid), (logits, targets), settings)
    slices = score_slices(test, logits.argmax(axis=1) == targets, labels, settings.confidence)
    texts = pl.scan_parquet(splits.file("test.parquet"))
    mistakes = find_mistakes(test, logits / scores["temperature"], texts, labels, settings.num_mistakes)
    mistakes.write_parquet(folder / "mistakes.parquet")
    result = {"name": name, "labels": labels, **scores, "slices": slices}
    (folder / "metrics.json").write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    figures = {f"test_{metric}": interval["value"] for metric, interval in scores["metrics"]["test"].items()}
    emit(Progress("evaluate", name, test.height, test.height, figures=figures, finished=True))
    return {"rows": test.height, "name": name, "metrics": scores["metrics"]}


def _accuracy(correct: np.ndarray, level: float) -> Interval:
    return share_with_interval(int(correct.sum()), len(correct), level)
