"""A fitted classifier of lines as it is served; this module and all it reaches travel with the registered model.

Its folder holds `model.safetensors`, `model.json`, `labels.json` and `serving.json`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import polars as pl

from rnnflow_bits.encode import ids_of
from rnnflow_bits.ingest import BITS, LabelledLineSource, LineSource, read_lines
from tasks.contract.table_model import TableModel
from tasks.errors import InputError, quoted
from tasks.labelled.calibration import calibrated_probabilities
from tasks.labelled.profile import profile_rows
from tasks.registry.served_parts import read_serving
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake
from tasks.sources.served_source import LABELS_ASIDE, NAMES_FILES, ServedSource
from tasks.text.tokenizers import truncated

if TYPE_CHECKING:
    from rnnmodels.classifiers.classifier import SequenceClassifier

KIND = "bits"
PARTS = ("model.safetensors", "model.json", "labels.json")


@dataclass(frozen=True, kw_only=True)
class Serving(ServedSource[LineSource]):
    """How a classifier reads lines: the source's settings, what the stages did, softmax temperature."""

    not_obeyed: ClassVar[Mapping[str, str]] = NAMES_FILES | LABELS_ASIDE

    max_length: int
    keep: str
    temperature: float
    batch_tokens: int

    @classmethod
    def trained_as(cls) -> type[LineSource]:
        """Lines with a label."""
        return LabelledLineSource

    @classmethod
    def read_as(cls) -> type[LineSource]:
        """Lines whose labels, if there are any, are not read."""
        return LineSource


@dataclass(frozen=True, kw_only=True)
class LineLabeller(TableModel[LineSource]):
    """A model in evaluation mode with the labels it was fitted with."""

    model: "SequenceClassifier"
    labels: tuple[str, ...]
    serving: Serving

    @classmethod
    def load(cls, folder: Path) -> "LineLabeller":
        """Read a folder after checking the SHA-256 of each file.

        Raises IntegrityError (E-INT-001).
        """
        from rnnmodels.classifiers.classifier import SequenceClassifier
        from rnnmodels.training.checkpoint import load_model

        serving = Serving(**read_serving(folder))
        labels = tuple(json.loads((folder / "labels.json").read_bytes()))
        return cls(model=load_model(SequenceClassifier, folder), labels=labels, serving=serving)

    def store_rows(self, folder: Path, inputs: Inputs, intake: Intake, refusals: list) -> Path:
        """Read the lines of files."""
        read_lines(inputs, intake).write_parquet(folder / "lines.parquet")
        return folder / "lines.parquet"

    def answer_window(
        self, rows: pl.DataFrame, settings: LineSource, *, profiles: list | None = None, **_: object
    ) -> pl.DataFrame:
        """Label lines: columns row (the line in its file), label, and a probability per label."""
        probabilities = self.predict_probabilities(rows["text"].to_list())
        if profiles is not None:
            values = {"length": rows["text"].str.len_chars().to_numpy()}
            profiles.append(profile_rows(values, probabilities=probabilities, labels=self.labels))
        columns = {f"probability_{label}": probabilities[:, index] for index, label in enumerate(self.labels)}
        return pl.DataFrame({"row": rows["line"], "label": self.name_best(probabilities), **columns})

    def name_best(self, probabilities: np.ndarray) -> list[str]:
        """The most probable label of each line."""
        return [self.labels[index] for index in probabilities.argmax(axis=1)]

    def by_label(self, probabilities: np.ndarray) -> list[dict[str, float]]:
        """The probabilities of each line by the names of the labels."""
        return [dict(zip(self.labels, row, strict=True)) for row in probabilities.tolist()]

    def predict_probabilities(self, lines: Sequence[str]) -> np.ndarray:
        """Calibrated probabilities [n, classes] of lines."""
        return calibrated_probabilities(self.predict_logits(lines), self.serving.temperature)

    def predict_logits(self, lines: Sequence[str]) -> np.ndarray:
        """Logits [n, classes] of lines, in their order."""
        from rnnmodels.classifiers.inference import predict_sequences

        return predict_sequences(self.model, self.encode(lines), batch_steps=self.serving.batch_tokens)

    def encode(self, lines: Sequence[str]) -> list[np.ndarray]:
        """The ids of lines, cut as in training.

        Raises InputError (E-BITS-002) naming the first that is no line of 0s and 1s.
        """
        text = pl.Series("text", lines, dtype=pl.String)
        is_bad = ~text.str.contains(BITS)
        if is_bad.any():
            index = is_bad.arg_max()
            problem = f"line {index}: got {quoted(lines[index])}, expected 1 to 1,000 digits 0 and 1."
            raise InputError("E-BITS-002", problem, fix="leave this line out or mend it.")
        cut = truncated(ids_of(pl.col("text")), max_length=self.serving.max_length, keep=self.serving.keep)
        return [one.to_numpy() for one in text.to_frame().select(cut).to_series()]
