"""Prediction for sequences: a file with a row per sequence and step in, a label with probabilities per sequence out."""

import time
from dataclasses import dataclass
from pathlib import Path

from tasks.prediction.tables_of_numbers import refuse_columns_of_texts, write_answers
from tasks.sequences.classifier import SequenceLabeller


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
    refuse_columns_of_texts(text_column, label_column)
    answers = write_answers(model, input_path, output_path, load=SequenceLabeller.load, overwrite=overwrite)
    return LabelledFile(
        model=answers["model"][0],
        rows=answers.height,
        output=output_path,
        wall_s=round(time.perf_counter() - started_s, 3),
    )
