"""What stage `gate` needs of classifiers of sequences: the test sequences by content; all else is as for texts."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from tasks.classification.judging import compare_scores, refuse_incomparable
from tasks.classification.scoring import LabelledHoldout, Scores, open_scores, score_logits
from tasks.fingerprint import digest_of
from tasks.lineage import Lineage
from tasks.promotion import scoring
from tasks.promotion.settings import PromotionSettings
from tasks.registry import RegisteredModel
from tasks.sequences.classifier import SequenceLabeller
from tasks.series.frames import VALUES

__all__ = ["SequencePromotionSettings", "compare_scores", "read_holdout", "refuse_incomparable", "score_model"]


class SequencePromotionSettings(PromotionSettings):
    """What a challenger must show on the champion's own test sequences before it takes its place."""

    performed_by: ClassVar[str] = "tasks.sequences.judging"


@dataclass(frozen=True, kw_only=True)
class SequenceHoldout(LabelledHoldout):
    """Sequences to test on (row, series, length, time, value.*), ordered by content and label."""

    unit: ClassVar[str] = "sequences"
    length_unit: ClassVar[str] = "steps"

    sequences: pl.DataFrame

    @property
    def lengths(self) -> np.ndarray:
        """Length of each sequence in steps."""
        return self.sequences["length"].to_numpy()


def read_holdout(lineage: Lineage) -> SequenceHoldout:
    """Read the test sequences of a split."""
    sequences = pl.read_parquet(lineage.splits.file("test.parquet"))
    ordered = sequences.with_columns(content=digest_contents(sequences)).sort("content", "label")
    digest = digest_of([ordered["content"].to_list(), ordered["label"].to_list()])
    return SequenceHoldout(sequences=ordered.drop("content", "label"), labels=ordered["label"], digest=digest)


def digest_contents(sequences: pl.DataFrame) -> pl.Series:
    """SHA-256 over the numbers of each sequence, channel by channel; a missing one counts as NaN."""
    channels = sequences.select(VALUES.list.eval(pl.element().fill_null(float("nan"))))
    digests = [
        hashlib.sha256(b"".join(numbers.to_numpy().tobytes() for numbers in row)).hexdigest()
        for row in zip(*(channels[name] for name in sorted(channels.columns)), strict=True)
    ]
    return pl.Series(digests, dtype=pl.String)


def score_model(model: RegisteredModel, holdout: SequenceHoldout) -> Scores:
    """Return a model's scores on a holdout, from the store if it was scored there before.

    Raises IntegrityError (E-INT-001) if a file of the model is damaged, InputError if it cannot read the sequences.
    """
    write = partial(write_scores, classifier=model.parts, holdout=holdout)
    return open_scores(scoring.build_scores(write, model, holdout, module=__name__), model, holdout)


def write_scores(folder: Path, *, classifier: Path, holdout: SequenceHoldout) -> dict:
    """Fill the artefact's folder: `scores.parquet` with the predicted label and the log loss of each sequence."""
    labeller = SequenceLabeller.load(classifier)
    logits = labeller.predict_logits(holdout.sequences)
    scores, undefined = score_logits(logits, labeller.labels, labeller.serving.temperature, holdout.labels)
    scores.write_parquet(folder / "scores.parquet")
    return {"rows": holdout.rows, "undefined": undefined}
