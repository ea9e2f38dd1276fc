"""What a classifier is worth, with intervals, where it fails and whether its confidence can be believed.

The temperature is fitted on validation; nothing is chosen on test. A kind says of its rows what they are sliced by and
how a person recognises one.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from tasks.contract.evaluation import EvaluationSettings, EvaluationSummary
from tasks.contract.summaries import NamedSummary
from tasks.errors import quoted
from tasks.labelled.metrics import (
    Sample,
    bin_by_confidence,
    count_confusion,
    fit_temperature,
    log_softmax,
    mean_loss,
    measure_with_intervals,
)
from tasks.labelled.summaries import EncodedSummary
from tasks.progress import Progress, emit
from tasks.statistics.intervals import Interval, share_with_interval
from tasks.statistics.quarters import cut_in_quarters
from tasks.store.artefacts import Artefact

# What rows are sliced by, the slice's name, and a mask of its rows.
Slice = tuple[str, str, np.ndarray]


class ClassificationSettings(EvaluationSettings):
    """How classifiers are scored, compared and inspected."""

    higher_is_better: ClassVar[frozenset[str]] = frozenset({"accuracy"})

    select_by: Literal["loss", "accuracy"] = Field("loss", description="Validation metric that picks the best model.")
    num_bins: int = Field(15, ge=2, le=1000, description="Equal-width bins of confidence for the calibration error.")
    num_mistakes: int = Field(20, ge=0, le=100_000, description="Most confident mistakes on test to keep.")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A model's predictions on validation and test (row, target, logits and what a kind adds), one row each.

    `slices` are those of the test rows; `quotes` say how a person recognises a row: columns row, text.
    """

    valid: pl.DataFrame
    test: pl.DataFrame
    slices: Iterable[Slice]
    quotes: pl.LazyFrame


def join_predictions(model: Artefact, features: pl.LazyFrame, split: str) -> pl.DataFrame:
    """Join predictions on one split with what is known of each `row`."""
    predictions = pl.scan_parquet(model.file("predictions.parquet")).filter(split=split).drop("split")
    joined = predictions.join(features, on="row", how="full", coalesce=True, validate="1:1").sort("row").collect()
    assert not any(joined.null_count().row(0)), f"{model.path} does not predict each {split} row once"
    return joined


def read_sample(predictions: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return logits [rows, classes] and targets [rows]."""
    column = predictions["logits"]
    logits = column.list.to_array(int(column.list.len().to_numpy().max())).to_numpy()
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


def score_slices(slices: Iterable[Slice], correct: np.ndarray, level: float) -> list[dict]:
    """Accuracy with its interval on parts of the test rows."""
    return [
        {"by": by, "slice": name, "rows": int(inside.sum()), "accuracy": _accuracy(correct[inside], level)}
        for by, name, inside in slices
    ]


def slice_by_label(test: pl.DataFrame, labels: Sequence[str]) -> Iterator[Slice]:
    """Slice rows by their label; none of the slices is empty."""
    targets = test["target"].to_numpy()
    for index in np.unique(targets):
        yield "label", labels[index], targets == index


def slice_by_length(test: pl.DataFrame, unit: str) -> Iterator[Slice]:
    """Slice rows in quarters by `length`, which is in a unit."""
    for low, high, inside in cut_in_quarters(test["length"].to_numpy()):
        yield "length", f"{low} to {high} {unit}", inside


def find_mistakes(
    test: pl.DataFrame, logits: np.ndarray, quotes: pl.LazyFrame, labels: Sequence[str], num_mistakes: int
) -> pl.DataFrame:
    """List the wrong predictions the model was surest of: row, text (its quote), label, predicted, confidence."""

    def named(column: str) -> pl.Expr:
        return pl.col(column).replace_strict(list(range(len(labels))), labels, return_dtype=pl.String)

    wrong = (
        test.select("row", "target", predicted=pl.Series(logits.argmax(axis=1)))
        .with_columns(confidence=pl.Series(np.exp(log_softmax(logits).max(axis=1))))
        .filter(pl.col("predicted") != pl.col("target"))
        .sort("confidence", "row", descending=[True, False])
        .head(num_mistakes)
    )
    quoted = wrong.lazy().join(quotes, on="row", how="left", maintain_order="left")
    return quoted.select(
        "row",
        "text",
        label=named("target"),
        predicted=named("predicted"),
        confidence="confidence",
    ).collect()


def read_prior(encoded: Artefact, labels: Sequence[str]) -> np.ndarray:
    """Shares of the classes among the training rows."""
    targets = pl.read_parquet(encoded.file("train.parquet"), columns=["target"])["target"].to_numpy()
    return np.bincount(targets, minlength=len(labels)) / len(targets)


def find_problems(
    name: str,
    valid: tuple[np.ndarray, np.ndarray],
    *,
    temperature: float,
    prior: np.ndarray,
    labels: Sequence[str],
    encoder: str,
) -> list[str]:
    """Say whether a model shows on validation that it has learned nothing: one answer to all, or no better than chance.

    Too much confidence is not want of knowledge, so `valid` logits count as scaled by `temperature`. But one chosen on
    these very rows takes any answers below chance; where no more of them are right than the most frequent label would
    be, logits count as they are. `encoder` names the setting of the section `encode` that may be at fault.
    """
    logits, targets = valid
    chosen, loss = logits.argmax(axis=1), mean_loss(logits / temperature, targets)
    answers = np.unique(chosen)
    chance = float(-np.log(prior[targets]).mean())
    settings = f"raise training.epochs, change training.learning_rate or {encoder}, or add rows"
    problems = []
    if len(answers) == 1 and len(np.unique(targets)) > 1:
        problems.append(
            f"{name} predicts {quoted(labels[answers[0]])} for all {len(targets)} validation rows; {settings}"
        )
    if loss < chance and (chosen == targets).sum() <= (targets == prior.argmax()).sum():
        loss = mean_loss(logits, targets)
    if loss >= chance:
        problems.append(
            f"{name} learned nothing: its validation loss of {loss:.3f} is no better "
            f"than {chance:.3f}, the loss of knowing only how frequent each label is; {settings}"
        )
    return problems


def write_scores(
    folder: Path,
    answers: Answers,
    *,
    model: Artefact,
    encoded: Artefact,
    encoder: str,
    settings: ClassificationSettings,
) -> EvaluationSummary:
    """Fill the artefact's folder with `metrics.json` and `mistakes.parquet` of a model."""
    name, labels = NamedSummary.of(model).name, EncodedSummary.of(encoded).labels
    valid, (logits, targets) = read_sample(answers.valid), read_sample(answers.test)
    scores = score_model(valid, (logits, targets), settings)
    slices = score_slices(answers.slices, logits.argmax(axis=1) == targets, settings.confidence)
    calibrated = logits / scores["temperature"]
    mistakes = find_mistakes(answers.test, calibrated, answers.quotes, labels, settings.num_mistakes)
    mistakes.write_parquet(folder / "mistakes.parquet")
    result = {"name": name, "labels": labels, **scores, "slices": slices}
    (folder / "metrics.json").write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    figures = {f"test_{metric}": interval["value"] for metric, interval in scores["metrics"]["test"].items()}
    rows = answers.test.height
    emit(Progress("evaluate", name, rows, rows, figures=figures, finished=True))
    prior, temperature = read_prior(encoded, labels), scores["temperature"]
    problems = find_problems(name, valid, temperature=temperature, prior=prior, labels=labels, encoder=encoder)
    # A baseline that learned nothing is not a fault of the run.
    told = problems if model.stage != "baseline" else []
    return EvaluationSummary(rows=rows, name=name, metrics=scores["metrics"], problems=told)


@dataclass(frozen=True, kw_only=True)
class LabelledEvaluation:
    """How stage `evaluate` scores classifiers of a kind.

    unit: of lengths. encoder: the setting that may be at fault if a model learned nothing. features: what is known of
    encoded rows, at least their `length`. quote: how a person recognises a row, as a split has it. slice_further: what
    rows are sliced by beyond label and length.
    """

    INPUTS: ClassVar[tuple[str, ...]] = ("encoded", "splits")

    unit: str
    encoder: str
    features: Mapping[str, pl.Expr] = field(default_factory=lambda: {"length": pl.col("length")})
    quote: pl.Expr = field(default_factory=lambda: pl.col("text"))
    slice_further: Callable[[pl.DataFrame], Iterable[Slice]] = lambda _test: ()

    def write_evaluation(
        self, folder: Path, *, model: Artefact, encoded: Artefact, splits: Artefact, settings: ClassificationSettings
    ) -> EvaluationSummary:
        """Fill the artefact's folder: `metrics.json` and `mistakes.parquet`."""
        labels = EncodedSummary.of(encoded).labels
        valid, test = (self.read_predictions(model, encoded, split) for split in ("valid", "test"))
        slices = [*slice_by_label(test, labels), *slice_by_length(test, self.unit), *self.slice_further(test)]
        quotes = pl.scan_parquet(splits.file("test.parquet")).select("row", text=self.quote)
        answers = Answers(valid=valid, test=test, slices=slices, quotes=quotes)
        return write_scores(folder, answers, model=model, encoded=encoded, encoder=self.encoder, settings=settings)

    def read_predictions(self, model: Artefact, encoded: Artefact, split: str) -> pl.DataFrame:
        """Join predictions on one split with what is known of each row."""
        rows = pl.scan_parquet(encoded.file(f"{split}.parquet")).select("row", **self.features)
        return join_predictions(model, rows, split)


def _accuracy(correct: np.ndarray, level: float) -> Interval:
    return share_with_interval(int(correct.sum()), len(correct), level)
