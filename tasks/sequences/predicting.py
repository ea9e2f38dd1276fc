"""Prediction for sequences: a file with a row per sequence and step in, a label with probabilities per sequence out."""

import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tasks import registry
from tasks.errors import InputError
from tasks.prediction.job import refuse_existing, refuse_unwritable
from tasks.prediction.tables import write_table
from tasks.progress import Progress, emit
from tasks.sequences.classifier import SequenceLabeller
from tasks.sources.inputs import find_inputs


@dataclass(frozen=True, kw_only=True)
class LabelledFile:
    """What became of a file of sequences: `rows` answers in `output`, one per sequence."""

    model: str
    rows: int
    output: Path
    wall_s: float
    bad: int = 0
    errors: Path | None = None

    def describe(self) -> str:
        """Say it in a line."""
        return f"{self.output}: {self.rows:,} sequences classified by {self.model} ({self.wall_s:.1f} s)."

    def table(self) -> dict[str, str | Path]:
        """Say it as names and values."""
        return {
            "output": self.output,
            "model": self.model,
            "sequences": f"{self.rows:,}",
            "seconds": f"{self.wall_s:,.1f}",
        }


def predict_file(
    model: str,
    input_path: Path,
    output_path: Path,
    *,
    text_column: str = "text",
    label_column: str | None = None,
    overwrite: bool = False,
) -> LabelledFile:
    """Classify every sequence of a file with a registered model; see `parse_reference` for what names one.

    The input is a table with the columns that the model was trained on, label aside. The output is CSV, JSON Lines or
    Parquet by its suffix, with the columns `sequence`, `label`, `probability_<label>` for every label, and `model`.

    Raises InputError for the files (E-OUT-001, E-OUT-002, E-SRC-001, E-SRC-003 and what the readers raise), for columns
    of texts (E-OUT-004), for a channel that is not there (E-SEQ-003), for missing numbers (E-SER-009) and for the model
    (E-NAME-001, E-REG-001, E-REG-002); IntegrityError for a damaged model (E-INT-001, E-REG-003).
    """
    started_s = time.perf_counter()
    _refuse_columns_of_texts(text_column, label_column)
    refuse_unwritable(output_path)
    refuse_existing(output_path, source=input_path, overwrite=overwrite)
    registered = registry.resolve_model(model)
    labeller = SequenceLabeller.load(registered.parts)
    inputs = find_inputs(labeller.serving.settings_for(input_path))
    emit(Progress("predict", note=f"classifying with {registered.label}"))
    answers = labeller.label_files(inputs).with_columns(model=pl.lit(registered.label))
    draft = output_path.with_name(f".{output_path.stem}.partial{output_path.suffix}")
    write_table(answers, draft, is_first=True)
    draft.replace(output_path)
    return LabelledFile(
        model=registered.label,
        rows=answers.height,
        output=output_path,
        wall_s=round(time.perf_counter() - started_s, 3),
    )


def _refuse_columns_of_texts(text_column: str, label_column: str | None) -> None:
    if text_column != "text" or label_column is not None:
        raise InputError(
            "E-OUT-004",
            "this model classifies sequences of numbers, but a column of texts or labels is named.",
            fix="leave --text-column and --label-column out; the columns are those that the model was trained on.",
        )
