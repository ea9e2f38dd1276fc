"""A fitted classifier as it is served: raw texts in, a probability per class out.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
Its folder holds `model.safetensors`, `model.json`, `vocabulary.json`, `labels.json`, `profile.json` (what the
validation rows looked like) and `serving.json`, which says how texts are cut.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tasks.contract.profile import Profile, write_profile
from tasks.errors import InputError, quoted
from tasks.kinds.classify.source import SourceSettings
from tasks.labelled.calibration import calibrated_probabilities
from tasks.labelled.profile import profile_rows
from tasks.registry.served_parts import read_serving, write_serving
from tasks.sources.served_source import ServedSource
from tasks.text.tokenizers import truncated
from tasks.text.vocabulary import UNKNOWN_ID, TextEncoder

if TYPE_CHECKING:
    from rnnmodels.classifiers.classifier import SequenceClassifier

KIND = "classify"
PARTS = ("model.safetensors", "model.json", "vocabulary.json", "labels.json")
MAX_CHARACTERS = 1_000_000
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Serving(ServedSource[SourceSettings]):
    """How a fitted model reads texts: how its source did, tokens kept, softmax temperature, padded tokens per batch.

    Models registered before the source was recorded have none, and read tables as sources do by default.
    """

    source: dict[str, Any] | None = None
    name: str
    max_length: int
    keep: str
    temperature: float
    batch_tokens: int

    @classmethod
    def trained_as(cls) -> type[SourceSettings]:
        """Labelled texts."""
        return SourceSettings

    @property
    def settings(self) -> SourceSettings:
        """The settings of the training rows' source, the layout of a built-in data set filled in."""
        return SourceSettings(path="texts") if self.source is None else super().settings


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Texts as a model reads them: ids after truncation, and what truncation would hide.

    `length` [n] counts the tokens before truncation, `oov_share` [n] is the share of them outside the vocabulary.
    """

    sequences: list[np.ndarray]
    length: np.ndarray
    oov_share: np.ndarray

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.sequences)


@dataclass(frozen=True, kw_only=True)
class TextClassifier:
    """A model in evaluation mode with the encoder and the labels it was fitted with."""

    model: "SequenceClassifier"
    encoder: TextEncoder
    labels: tuple[str, ...]
    serving: Serving

    @classmethod
    def load(cls, folder: Path) -> "TextClassifier":
        """Read a folder after checking the SHA-256 of each file.

        Raises IntegrityError (E-INT-001).
        """
        from rnnmodels.classifiers.classifier import SequenceClassifier
        from rnnmodels.training.checkpoint import load_model

        serving = Serving(**read_serving(folder))
        vocabulary = folder / "vocabulary.json"
        return cls(
            model=load_model(SequenceClassifier, folder),
            encoder=TextEncoder.load(vocabulary, max_length=serving.max_length, keep=serving.keep),
            labels=tuple(json.loads((folder / "labels.json").read_bytes())),
            serving=serving,
        )

    def read(self, texts: Sequence[str]) -> Reading:
        """Cut texts into ids, once for all that is asked of them; an empty text counts as one unknown token.

        Raises InputError (E-TEXT-001) naming the first text that cannot be read.
        """
        check_texts(texts)
        encoder = self.encoder
        frame = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
        whole = frame.select(ids=encoder.vocabulary.ids_of_text(pl.col("text")))
        ids, length = pl.col("ids"), pl.col("ids").list.len()
        read = whole.select(
            sequence=truncated(ids, max_length=encoder.max_length, keep=encoder.keep),
            length=length.cast(pl.Int64),
            oov_share=ids.list.count_matches(UNKNOWN_ID) / length,
        )
        return Reading(
            sequences=[sequence.to_numpy() for sequence in read["sequence"]],
            length=read["length"].to_numpy(),
            oov_share=read["oov_share"].to_numpy(),
        )

    def score(self, reading: Reading) -> np.ndarray:
        """Calibrated probabilities [n, classes] of texts that were read."""
        return calibrated_probabilities(self._logits(reading), self.serving.temperature)

    def profile(
        self, reading: Reading, probabilities: np.ndarray, true_labels: Sequence[str | None] | None = None
    ) -> Profile:
        """Count what was read and answered; a true label is None where it is unknown."""
        return profile_rows(
            {"length": reading.length, "oov_share": reading.oov_share},
            probabilities=probabilities,
            labels=self.labels,
            true_labels=true_labels,
        )

    def predict_logits(self, texts: Sequence[str]) -> np.ndarray:
        """Logits [n, classes] of raw texts, in their order; raises as `read` does."""
        return self._logits(self.read(texts))

    def predict_probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Calibrated probabilities [n, classes] of raw texts; raises as `read` does."""
        return self.score(self.read(texts))

    def _logits(self, reading: Reading) -> np.ndarray:
        from rnnmodels.classifiers.inference import predict_sequences

        return predict_sequences(self.model, reading.sequences, batch_steps=self.serving.batch_tokens)


def fault_of_text(text: object) -> str | None:
    """Say why a value cannot be classified; None if it can."""
    if not isinstance(text, str):
        return "got null, expected a text" if text is None else f"got {type(text).__name__}, expected a text"
    if len(text) > MAX_CHARACTERS:
        return f"got {len(text):,} characters, expected at most {MAX_CHARACTERS:,}"
    if SURROGATE.search(text):
        return f"got half a surrogate pair in {quoted(text)}, expected valid Unicode"
    return None


def check_texts(texts: Sequence[object]) -> None:
    """Refuse a list that holds anything but readable texts.

    Raises InputError (E-TEXT-001) naming the first.
    """
    for index, text in enumerate(texts):
        fault = fault_of_text(text)
        if fault is not None:
            raise InputError("E-TEXT-001", f"text {index}: {fault}.", fix="leave this text out or correct it.")


def complete_classifier(folder: Path, serving: Serving, reference: Profile) -> None:
    """Complete a folder that holds model, vocabulary and labels with `serving.json` and `profile.json`."""
    write_serving(folder, kind=KIND, serving=asdict(serving), parts=PARTS)
    write_profile(folder, reference)
