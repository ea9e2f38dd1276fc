"""A fitted classifier as it is served: raw texts in, a probability per class out.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
Its folder holds `model.safetensors`, `model.json`, `vocabulary.json`, `labels.json` and `serving.json`, which says
how texts are cut and names the SHA-256 of the other four.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnnmodels.durable import sha256_of_file
from tasks.errors import InputError, IntegrityError, quoted
from tasks.text.vocabulary import TextEncoder

if TYPE_CHECKING:
    from rnnmodels.classifier import SequenceClassifier

SERVING = "serving.json"
SERVING_FORMAT = 1
PARTS = ("model.safetensors", "model.json", "vocabulary.json", "labels.json")
MAX_CHARACTERS = 1_000_000
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How a fitted model reads texts: tokens kept, softmax temperature, padded tokens per batch."""

    name: str
    max_length: int
    keep: str
    temperature: float
    batch_tokens: int


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
        from rnnmodels.checkpoint import load_model

        fields = json.loads((folder / SERVING).read_bytes())
        for name, sha256 in fields["sha256"].items():
            _check_file(folder / name, sha256)
        serving = Serving(**fields["serving"])
        vocabulary = folder / "vocabulary.json"
        return cls(
            model=load_model(folder),
            encoder=TextEncoder.load(vocabulary, max_length=serving.max_length, keep=serving.keep),
            labels=tuple(json.loads((folder / "labels.json").read_bytes())),
            serving=serving,
        )

    def predict_logits(self, texts: Sequence[str]) -> np.ndarray:
        """Logits [n, classes] of raw texts, in their order; an empty text counts as one unknown token.

        Raises InputError (E-TEXT-001) naming the first text that cannot be read.
        """
        from rnnmodels.inference import predict_sequences

        check_texts(texts)
        if not texts:
            return np.empty((0, len(self.labels)), dtype=np.float32)
        return predict_sequences(self.model, self.encoder.encode(texts), batch_tokens=self.serving.batch_tokens)

    def predict_probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Calibrated probabilities [n, classes] of raw texts; raises as `predict_logits` does."""
        return calibrated_probabilities(self.predict_logits(texts), self.serving.temperature)


def calibrated_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Softmax of logits [n, classes] over a temperature (Guo et al. 2017), in float64."""
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


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
            raise InputError("E-TEXT-001", f"text {index}: {fault}.", fix="leave this text out or mend it.")


def write_serving(folder: Path, serving: Serving) -> None:
    """Complete a folder that holds the other parts with `serving.json`."""
    sha256 = {name: sha256_of_file(folder / name) for name in PARTS}
    fields = {"format": SERVING_FORMAT, "serving": asdict(serving), "sha256": sha256}
    (folder / SERVING).write_text(json.dumps(fields, indent=2, sort_keys=True), encoding="utf-8")


def _check_file(path: Path, sha256: str) -> None:
    if not path.is_file() or sha256_of_file(path) != sha256:
        raise IntegrityError(
            "E-INT-001",
            "is not the file that was registered (its SHA-256 differs or it is missing).",
            fix="restore the file, or register the model again.",
            file=path,
        )
