"""A fitted classifier of sequences as it is served: a raw table in, one label with probabilities per sequence out.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
Its folder holds `model.safetensors`, `model.json`, `scaler.json`, `labels.json` and `serving.json`, which says how
tables are read.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import polars as pl

from tasks.errors import InputError
from tasks.kinds.classify_series.ingest import read_sequences
from tasks.kinds.classify_series.numbers import VALUES_COLUMN, encode_sequences, truncated_steps
from tasks.kinds.classify_series.source import SequenceSource, SequenceTable, UnlabelledSource
from tasks.labelled.calibration import calibrated_probabilities
from tasks.panel.refusals import Refusal, refuse_missing_channels
from tasks.panel.scaler import Scaler
from tasks.panel.served_table import TIMES_AS_THEY_ARE, read_rows
from tasks.registry.served_parts import read_serving, write_serving
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake
from tasks.sources.served_source import LABELS_ASIDE, NAMES_FILES, ServedSource

if TYPE_CHECKING:
    import pandas as pd

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


@dataclass(frozen=True, kw_only=True)
class SequenceLabeller:
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

    def answer_files(
        self,
        inputs: Inputs,
        *,
        refusals: list[Refusal] | None = None,
        intake: Intake[SequenceTable] | None = None,
        **changed: object,
    ) -> pl.DataFrame:
        """Label every sequence of files, read and checked as the training rows were; columns as of `label_sequences`.

        `changed` settings of the source are other than in training, and an `intake` brings its own. With a list
        `refusals` sequences with numbers missing go there, and the first is raised only if none is left.
        """
        intake = intake or Intake(self.serving.settings_for(inputs.files[0].path, **changed))
        return self.answer_rows(self.read_files(inputs, intake=intake, refusals=refusals), refusals)

    def label_table(self, table: "pl.DataFrame | pd.DataFrame") -> pl.DataFrame:
        """Label every sequence of a table with the columns of the source, as `answer_files` does.

        Raises InputError also for a table that cannot be read (E-REG-012 to E-REG-014).
        """
        return self.label_sequences(self.read_table(table))

    def answer_rows(self, sequences: pl.DataFrame, refusals: list[Refusal] | None = None) -> pl.DataFrame:
        """Label sequences as they are read; those with numbers missing go to `refusals`, as of `answer_files`."""
        self._refuse_other_channels(sequences)
        return self.label_sequences(sequences if refusals is None else self._part_readable(sequences, refusals))

    def read_files(
        self, inputs: Inputs, *, intake: Intake[SequenceTable], refusals: list[Refusal] | None = None
    ) -> pl.DataFrame:
        """Read files into sequences: row, series, length, time, value.*."""
        with tempfile.TemporaryDirectory() as folder:
            return read_sequences(Path(folder), inputs=inputs, intake=intake, refusals=refusals)

    def read_table(self, table: "pl.DataFrame | pd.DataFrame") -> pl.DataFrame:
        """Read a table into sequences; without an id column in the source, it names them in the column `sequence`."""
        return read_rows(self, table)[0]

    @property
    def table_layout(self) -> Mapping[str, object]:
        """A table has no file that could name a sequence, so a column does."""
        return {"id_columns": self.serving.settings.id_columns or (SEQUENCE,), "one_series_per_file": False}

    def time_rules(self, time: pl.DataType) -> Mapping[str, object]:
        """How the times of a table are read whose type tells: only their order counts."""
        if time.is_integer():
            return {"time_unit": "step", "time_format": None, "time_zone": None}
        return TIMES_AS_THEY_ARE if time.is_temporal() else {}

    def label_sequences(self, sequences: pl.DataFrame) -> pl.DataFrame:
        """Label sequences; columns sequence, label, and probability_<label> for every label.

        Raises InputError: E-SEQ-003 for a channel that is not there, E-SER-009, E-SER-010.
        """
        probabilities = calibrated_probabilities(self.predict_logits(sequences), self.serving.temperature)
        answers = [self.labels[index] for index in probabilities.argmax(axis=1)]
        columns = {f"probability_{label}": probabilities[:, index] for index, label in enumerate(self.labels)}
        return pl.DataFrame({SEQUENCE: sequences["series"], "label": pl.Series(answers, dtype=pl.String), **columns})

    def predict_logits(self, sequences: pl.DataFrame) -> np.ndarray:
        """Logits [n, classes] of sequences, in their order."""
        from rnnmodels.classifiers.inference import predict_sequences

        return predict_sequences(self.model, self.encode(sequences), batch_steps=self.serving.batch_steps)

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
