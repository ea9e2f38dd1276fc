"""Proof that a registered model is the one that was evaluated: raw texts in, the judged logits out."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tasks.errors import IntegrityError
from tasks.kinds.classify.classifier import TextClassifier
from tasks.labelled.proof import prove_answers, tolerance_on

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

    from rnnmodels.classifiers.batches import Batch


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Evaluated batches, as they were batched: `texts` and `logits` belong to the rows of `batches`, by row id."""

    batches: "tuple[Batch, ...]"
    texts: dict[int, str]
    logits: dict[int, list[float]]
    device: str

    @property
    def rows(self) -> list[int]:
        """Row ids in the order of the batches."""
        return [int(row) for batch in self.batches for row in batch.row]


def judged_rows(batches: "Iterable[Batch]", *, texts: pl.LazyFrame, predictions: pl.LazyFrame, device: str) -> Judged:
    """Gather the texts and evaluated logits of the first, the middle and the last batch: short to long rows."""
    batches = list(batches)
    chosen = tuple(batches[position] for position in sorted({0, len(batches) // 2, len(batches) - 1}))
    wanted = pl.Series([int(row) for batch in chosen for row in batch.row], dtype=pl.UInt32)
    text_of = texts.filter(pl.col("row").is_in(wanted.implode())).select("row", "text").collect()
    logits_of = predictions.filter(pl.col("row").is_in(wanted.implode())).select("row", "logits").collect()
    return Judged(batches=chosen, texts=dict(text_of.iter_rows()), logits=dict(logits_of.iter_rows()), device=device)


def prove_served(served: "PyFuncModel", judged: Judged) -> dict:
    """Compare a loaded model with the evaluation, batched alike and as a user calls it; returns the measurements.

    Raises IntegrityError (E-REG-005) for other tokens, (E-REG-006) for other logits or probabilities.
    """
    classifier: TextClassifier = served.unwrap_python_model().classifier
    expected = np.array([judged.logits[row] for row in judged.rows], dtype=np.float32)
    logits = np.concatenate([logits_of_batch(classifier, batch, judged.texts) for batch in judged.batches])
    answers = served.predict([judged.texts[row] for row in judged.rows])
    assert isinstance(answers, list)
    probabilities = np.array([[answer.probabilities[label] for label in classifier.labels] for answer in answers])
    temperature, tolerance = classifier.serving.temperature, tolerance_on(judged.device)
    return prove_answers(logits, probabilities, expected, temperature=temperature, tolerance=tolerance)


def logits_of_batch(classifier: TextClassifier, batch: "Batch", texts: dict[int, str]) -> np.ndarray:
    """Score the raw texts of a batch, padded and batched as they were evaluated.

    Raises IntegrityError (E-REG-005) if the served encoder cuts a text into other tokens.
    """
    from rnnmodels.classifiers.inference import pad_sequences, score_batch
    from rnnmodels.training.evaluation import evaluating

    sequences = classifier.encoder.encode([texts[int(row)] for row in batch.row])
    padded = pad_sequences(sequences, width=batch.steps.shape[1])
    same = (padded.steps == batch.steps).all(axis=1) & (padded.length == batch.length)
    if not same.all():
        raise IntegrityError(
            "E-REG-005",
            f"row {batch.row[same.argmin()]}: the served model tokenizes its text differently from the evaluated one.",
            fix="run again with --refresh; if it persists, the served encoder differs from the stage `encode`.",
        )
    with evaluating(classifier.model):
        return score_batch(classifier.model, padded)


def certify(classifier: TextClassifier, texts: list[str]) -> dict:
    """Certify that the model's logits depend on the text alone, not on padding, batch-mates or batch size."""
    from rnnmodels.classifiers.certificate import certify_invariance

    return dataclasses.asdict(certify_invariance(classifier.model, classifier.encoder.encode(texts)))
