"""A fitted classifier of sequences as it is served: a raw table in, one label with probabilities per sequence out.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
Its folder holds `model.safetensors`, `model.json`, `scaler.json`, `labels.json` and `serving.json`, which says how
tables are read.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import polars as pl

from tasks.contract.notes import Notes
from tasks.contract.profile import Profile
from tasks.contract.table_model import Refusal
from tasks.errors import InputError
from tasks.kinds.classify_series.frames import read_in_chunks
from tasks.kinds.classify_series.ingest import write_sequences
from tasks.kinds.classify_series.numbers import VALUES_COLUMN, encode_sequences, truncated_steps
from tasks.kinds.classify_series.profile import WATCH, measure_sequences
from tasks.kinds.classify_series.source import SequenceSource, SequenceTable, UnlabelledSource
from tasks.labelled.calibration import calibrated_probabilities
from tasks.labelled.profile import profile_rows
from tasks.panel.frames import ROWS_FILE
from tasks.panel.refusals import refuse_missing_channels
from tasks.panel.scaler import Scaler
from tasks.panel.served_table import PanelModel
from tasks.registry.served_parts import read_serving, write_serving
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake
from tasks.sources.served_source import LABELS_ASIDE, NAMES_FILES, ServedSource

if TYPE_CHECKING:
    from rnnmodels.classifiers.series_classifier import SeriesClassifier

KIND = "classify-series"
PARTS = ("model.safetensors", "model.json", "scaler.json", "labels.json")
SEQUENCE = "sequence"


@dataclass(frozen=True, kw_only=True)
class Serving(ServedSource[SequenceTable]):
    """How a classifier reads sequences: the source's columns, the channels, the steps kept, softmax temperature."""

    not_obeyed: ClassVar[Mapping[str, str]] = NAMES_FILES | LABELS_ASIDE

    name: str
    channels: tuple[str, ...]
    max_length: int
    keep: str
    temperature: float
    batch_steps: int

    @classmethod
    def trained_as(cls) -> type[SequenceTable]:
        """Labelled sequences."""
        return SequenceSource

    @classmethod
    def read_as(cls) -> type[SequenceTable]:
        """Sequences whose labels, where there are any, are not read."""
        return UnlabelledSource

    def with_labels(self, settings: SequenceTable) -> SequenceSource:
        """The settings of a file, and how the labels of the training rows were read."""
        rules = self.settings.model_dump(include=set(LABELS_ASIDE))
        return SequenceSource.model_validate(settings.model_dump() | rules)


@dataclass(frozen=True, kw_only=True)
class SequenceLabeller(PanelModel[SequenceTable]):
    """A model in evaluation mode with the scaler and the labels it was fitted with."""

    model: "SeriesClassifier"
    scaler: Scaler
    labels: tuple[str, ...]
    serving: Serving

    @classmethod
    def load(cls, folder: Path) -> "SequenceLabeller":
        """Read a folder after checking the SHA-256 of each file.

        Raises IntegrityError (E-INT-001).
        """
        from rnnmodels.classifiers.series_classifier import SeriesClassifier
        from rnnmodels.training.checkpoint import load_model

        fields = read_serving(folder)
        fields["channels"] = tuple(fields["channels"])
        return cls(
            model=load_model(SeriesClassifier, folder),
            scaler=Scaler.from_dict(json.loads((folder / "scaler.json").read_bytes())),
            labels=tuple(json.loads((folder / "labels.json").read_bytes())),
            serving=Serving(**fields),
        )

    def store_rows(
        self, folder: Path, inputs: Inputs, intake: Intake[SequenceTable], refusals: list[Refusal] | None
    ) -> Path:
        """Read files into sequences: row, series, length, time, value.*, and label, null where it is unknown.

        Those without a number are refused.
        """
        labelled = self.serving.with_labels(intake.settings)
        write_sequences(folder, inputs=inputs, intake=intake, refusals=refusals, labelled=labelled)
        return folder / ROWS_FILE

    def read_windows(self, path: Path, max_rows: int) -> Iterator[pl.DataFrame]:
        """Yield stored sequences with about `max_rows` steps together."""
        return read_in_chunks(path, max_rows)

    def answer_window(
        self,
        rows: pl.DataFrame,
        settings: SequenceTable,  # noqa: ARG002 (sequences are labelled alike however they were read)
        *,
        refusals: list[Refusal] | None,
        notes: Notes,  # noqa: ARG002 (nothing is to be known of them)
        profiles: list[Profile] | None = None,
    ) -> pl.DataFrame:
        """Label sequences, as `label_sequences` does; those with numbers missing are refused."""
        self._refuse_other_channels(rows)
        readable = rows if refusals is None else self._part_readable(rows, refusals)
        return self.label_sequences(readable, profiles)

    @property
    def table_layout(self) -> Mapping[str, object]:
        """A table has no file that could name a sequence, so a column does."""
        return {"id_columns": self.serving.settings.id_columns or (SEQUENCE,), "one_series_per_file": False}

    def time_rules(self, time: pl.DataType) -> Mapping[str, object]:
        """How the times of a table are read whose type tells: only their order counts."""
        if time.is_integer():
            return {"time_unit": "step", "time_format": None, "time_zone": None}
        return super().time_rules(time)

    def label_sequences(self, sequences: pl.DataFrame, profiles: list[Profile] | None = None) -> pl.DataFrame:
        """Label sequences; columns sequence, label, and probability_<label> for every label.

        What they look like is appended to `profiles`, with the true labels of a column `label`.

        Raises InputError: E-SEQ-003 for a channel that is not there, E-SER-009, E-SER-010.
        """
        encoded = self.encode(sequences)
        probabilities = calibrated_probabilities(self._score(encoded), self.serving.temperature)
        if profiles is not None:
            values = measure_sequences(sequences, encoded, self.serving.channels)
            true_labels = sequences["label"].to_list() if "label" in sequences.columns else None
            told = {"labels": self.labels, "true_labels": true_labels, "watch": WATCH}
            profiles.append(profile_rows(values, probabilities=probabilities, **told))
        answers = [self.labels[index] for index in probabilities.argmax(axis=1)]
        columns = {f"probability_{label}": probabilities[:, index] for index, label in enumerate(self.labels)}
        return pl.DataFrame({SEQUENCE: sequences["series"], "label": pl.Series(answers, dtype=pl.String), **columns})

    def predict_logits(self, sequences: pl.DataFrame) -> np.ndarray:
        """Logits [n, classes] of sequences, in their order."""
        return self._score(self.encode(sequences))

    def _score(self, encoded: list[np.ndarray]) -> np.ndarray:
        from rnnmodels.classifiers.inference import predict_sequences

        return predict_sequences(self.model, encoded, batch_steps=self.serving.batch_steps)

    def encode(self, sequences: pl.DataFrame) -> list[np.ndarray]:
        """Scale and cut sequences as in training: float32 [steps, channels] each."""
        self._refuse_other_channels(sequences)
        encoded = encode_sequences(sequences, self.scaler).to_frame()
        size = len(self.serving.channels)
        cut = {"max_length": self.serving.max_length, "keep": self.serving.keep, "size": size}
        values = encoded.select(truncated_steps(pl.col(VALUES_COLUMN), **cut)).to_series()
        return [numbers.to_numpy().reshape(-1, size) for numbers in values]

    def _part_readable(self, sequences: pl.DataFrame, refusals: list[Refusal]) -> pl.DataFrame:
        """Keep the sequences that can be scaled; halves are tried apart, so few bad ones among many are found soon.

        Raises the first refusal if none is left.
        """
        kept = self._readable_parts(sequences, refusals)
        if not kept:
            raise refusals[0].error
        return pl.concat(kept)

    def _readable_parts(self, sequences: pl.DataFrame, refusals: list[Refusal]) -> list[pl.DataFrame]:
        if sequences.is_empty():
            return []
        try:
            self.encode(sequences)
        except InputError as error:
            if sequences.height == 1:
                refusals.append(Refusal(sequences["series"][0], error))
                return []
        else:
            return [sequences]
        middle = sequences.height // 2
        halves = (sequences[:middle], sequences[middle:])
        return [part for half in halves for part in self._readable_parts(half, refusals)]

    def _refuse_other_channels(self, sequences: pl.DataFrame) -> None:
        refuse_missing_channels("E-SEQ-003", sequences, self.serving.channels)


def complete_labeller(folder: Path, serving: Serving) -> None:
    """Complete a folder that holds model, scaler and labels with `serving.json`."""
    write_serving(folder, kind=KIND, serving=asdict(serving), parts=PARTS)
