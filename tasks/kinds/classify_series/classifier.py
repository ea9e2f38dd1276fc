"""A fitted classifier of sequences as it is served: a raw table in, one label with probabilities per sequence out.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import polars as pl

from tasks.contract.notes import Notes
from tasks.contract.profile import Profile
from tasks.contract.table_model import Refusal
from tasks.errors import InputError
from tasks.kinds.classify_series.frames import read_in_chunks
from tasks.kinds.classify_series.ingest import write_sequences
from tasks.kinds.classify_series.numbers import SCALER_FILE, VALUES_COLUMN, encode_sequences
from tasks.kinds.classify_series.profile import WATCH, measure_sequences
from tasks.kinds.classify_series.source import SequenceSource, SequenceTable, UnlabelledSource
from tasks.labelled.labeller import Labeller, LabellerServing, ReadRows
from tasks.labelled.summaries import LABELS_FILE
from tasks.panel.frames import ROWS_FILE, bare_name
from tasks.panel.refusals import refuse_missing_channels
from tasks.panel.scaler import Scaler
from tasks.panel.served_table import PanelModel
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake
from tasks.sources.served_source import LABELS_ASIDE, NAMES_FILES
from tasks.sources.settings import LabelledSource

if TYPE_CHECKING:
    from rnnmodels.classifiers.series_classifier import SeriesClassifier

SEQUENCE = "sequence"


@dataclass(frozen=True, kw_only=True)
class Serving(LabellerServing[SequenceTable]):
    """How a classifier reads sequences."""

    not_obeyed: ClassVar[Mapping[str, str]] = NAMES_FILES | LABELS_ASIDE

    @classmethod
    def trained_as(cls) -> type[SequenceTable]:
        """Labelled sequences."""
        return SequenceSource

    @classmethod
    def read_as(cls) -> type[SequenceTable]:
        """Sequences whose labels, where there are any, are not read."""
        return UnlabelledSource

    def learned(self) -> dict[str, object]:
        """Columns of the training rows that hold labels and splits, which other files may have too."""
        labelled = cast("SequenceSource", self.settings)
        return {"unread_columns": tuple(LabelledSource.named_columns(labelled).values())}

    def with_labels(self, settings: SequenceTable) -> SequenceSource:
        """The settings of a file, and how the labels of the training rows were read."""
        rules = self.settings.model_dump(include=set(LABELS_ASIDE))
        return SequenceSource.model_validate(settings.model_dump(exclude={"unread_columns"}) | rules)


@dataclass(frozen=True, kw_only=True)
class SequenceLabeller(Labeller[pl.DataFrame], PanelModel[SequenceTable]):
    """A model in evaluation mode with the scaler and the labels it was fitted with."""

    kind = "classify-series"
    serving_type = Serving
    encoder_files = (SCALER_FILE, LABELS_FILE)
    watch = WATCH

    scaler: Scaler
    serving: Serving

    @classmethod
    def load_network(cls, folder: Path) -> "SeriesClassifier":
        """Read a network of numbers."""
        from rnnmodels.classifiers.series_classifier import SeriesClassifier
        from rnnmodels.training.checkpoint import load_model

        return load_model(SeriesClassifier, folder)

    @classmethod
    def load_encoder(cls, folder: Path) -> dict[str, Any]:
        """Read the scaler."""
        return {"scaler": Scaler.from_dict(json.loads((folder / SCALER_FILE).read_bytes()))}

    @property
    def channels(self) -> list[str]:
        """The channels, in the order in which the network reads them."""
        return [bare_name(name) for name in self.scaler.columns]

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
        ids = self.serving.settings.id_columns or (SEQUENCE,)
        return super().table_layout or {"id_columns": ids, "one_series_per_file": False}

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
        read = self.read(sequences)
        probabilities = self.score(read)
        if profiles is not None:
            true_labels = sequences["label"].to_list() if "label" in sequences.columns else None
            profiles.append(self.profile(read, probabilities, true_labels))
        return pl.DataFrame({SEQUENCE: sequences["series"], **self.tabulate(probabilities)})

    @classmethod
    def take(cls, rows: pl.DataFrame) -> pl.DataFrame:
        """The sequences themselves."""
        return rows

    def read(self, rows: pl.DataFrame) -> ReadRows:
        """Scale and cut sequences as in training: float32 [steps, channels] each."""
        self._refuse_other_channels(rows)
        size = len(self.channels)
        cut = encode_sequences(rows, self.scaler).to_frame().select(self.cut(pl.col(VALUES_COLUMN), size)).to_series()
        encoded = [numbers.to_numpy().reshape(-1, size) for numbers in cut]
        return ReadRows(sequences=encoded, values=measure_sequences(rows, encoded, self.channels))

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
            self.read(sequences)
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
        refuse_missing_channels("E-SEQ-003", sequences, self.channels)
