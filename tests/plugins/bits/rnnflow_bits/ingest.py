"""Files to checked lines of 0s and 1s; reading travels with the registered model."""

from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from tasks.errors import InputError
from tasks.labelled.summaries import LabelledRowsSummary
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files
from tasks.sources.row_checks import Check, check_labelled, count_names, filter_rows, label_checks, refuse_rows
from tasks.sources.settings import FileSettings, LabelledSource

BITS = r"^[01]{1,1000}$"
IS_BITS = Check(
    "E-BITS-001",
    "text",
    ~pl.col("text").str.contains(BITS).fill_null(False),
    "got {value}, expected 1 to 1,000 digits 0 and 1.",
    "write the line in 0s and 1s alone, in a column of texts, or drop it.",
)


class LineSource(FileSettings):
    """Which files hold lines, and in which column."""

    dataset: Literal["files"] = Field("files", description="`files` are your own.")
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet"] = Field(
        "auto", description="How files are read; `auto` goes by the suffix."
    )
    bits_column: str = Field("bits", min_length=1, max_length=256, description="Column that holds the line.")

    def named_columns(self) -> dict[str, str]:
        """The column of the line; its cells are texts, lest it lose its first zeros."""
        return {"text": self.bits_column}


class LabelledLineSource(LineSource, LabelledSource):
    """Which files hold labelled lines, and in which columns."""

    def named_columns(self) -> dict[str, str]:
        """The columns of line, label and official split."""
        return LineSource.named_columns(self) | LabelledSource.named_columns(self)


def read_lines(inputs: Inputs, intake: Intake) -> pl.DataFrame:
    """Read files into lines: row, file, line, text, and of a labelled source label and split.

    Raises InputError (E-BITS-001, E-DATA-001), and what the readers raise.
    """
    frames = [frame for frame in read_files(inputs.files, intake, check_lines) if frame.height]
    if not frames:
        raise InputError("E-DATA-001", "no lines are left.", fix="check `where`, or the files.")
    lines = pl.concat(frames).with_row_index("row")
    intake.kept = lines.height
    return lines


def check_lines(raw: pl.DataFrame, intake: Intake) -> pl.DataFrame:
    """Keep the lines that `where` asks for, refuse bad ones, and give labels the names of their classes."""
    if isinstance(intake.settings, LabelledSource):
        return check_labelled(raw, intake, [IS_BITS, *label_checks(intake.settings)])
    return refuse_rows(filter_rows(raw, intake), [IS_BITS], intake)


def write_rows(folder: Path, *, settings: LabelledLineSource, inputs: Inputs, digest: str) -> LabelledRowsSummary:
    """Read every input into `rows.parquet`: row, text, label, split; returns counts and warnings.

    Raises InputError (E-DATA-030) and what `read_lines` raises, IntegrityError (E-INT-003) for a changed input.
    """
    intake = Intake(settings)
    lines = read_lines(inputs, intake).select("row", "text", "label", "split")
    inputs.refuse_changed(digest)
    lines = lines.with_columns(pl.col("label").replace(intake.spellings.merged(settings)))
    lines.write_parquet(folder / "rows.parquet")
    return LabelledRowsSummary(
        rows=lines.height,
        labels=count_names(lines["label"]),
        splits=count_names(lines["split"]),
        **intake.account(inputs, digest),
        warnings=intake.spellings.warnings(settings),
    )
