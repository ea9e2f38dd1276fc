"""What stage `gate` needs of text classifiers: the test texts by content; all else is as for every classifier."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from tasks.contract.lineage import Lineage
from tasks.kinds.classify.classifier import KIND, TextClassifier
from tasks.labelled.gate import compare_scores, refuse_incomparable
from tasks.labelled.scoring import LabelledHoldout, Scores, build_scores, trace_holdout
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.store.fingerprint import digest_of

__all__ = ["compare_scores", "read_holdout", "refuse_incomparable", "score_model"]


@dataclass(frozen=True, kw_only=True)
class Holdout(LabelledHoldout):
    """Texts to test on, ordered by text and label."""

    kind: ClassVar[str] = KIND
    length_unit: ClassVar[str] = "characters"

    texts: pl.Series

    @property
    def questions(self) -> list[str]:
        """The texts."""
        return self.texts.to_list()

    @property
    def lengths(self) -> np.ndarray:
        """Length of each text in characters."""
        return self.texts.str.len_chars().to_numpy()


def read_holdout(lineage: Lineage) -> Holdout:
    """Read the test rows of a split."""
    rows = _read_test_rows(lineage.splits)
    digest = _digest_test_rows(lineage.splits)
    history = trace_holdout(lineage.splits, digest, _digest_test_rows)
    return Holdout(texts=rows["text"], labels=rows["label"], digest=digest, **history)


def _read_test_rows(splits: Artefact) -> pl.DataFrame:
    return pl.read_parquet(splits.file("test.parquet"), columns=["text", "label"]).sort("text", "label")


def _digest_test_rows(splits: Artefact) -> str:
    rows = _read_test_rows(splits)
    return digest_of([rows["text"].to_list(), rows["label"].to_list()])


def score_model(model: RegisteredModel, holdout: Holdout) -> Scores:
    """Return a model's scores on a holdout, from the store if it was scored there before.

    Raises IntegrityError (E-INT-001) if a file of the model is damaged.
    """
    return build_scores(model, holdout, load=TextClassifier.load, module=__name__)
