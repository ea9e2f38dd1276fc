"""Files of any supported kind to one table of documents: what stage `ingest` does for a language model."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa

from tasks.errors import plural
from tasks.kinds.language.source import LanguageSource
from tasks.labelled.summaries import LabelledRowsSummary
from tasks.progress import Progress, emit
from tasks.sources.input_files import is_document
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake, RowCheck
from tasks.sources.readers import read_files
from tasks.sources.row_checks import Check, filter_rows, refuse_rows, split_check, with_split
from tasks.text.joined import with_text
from tasks.text.rows import ROWS_FILE, refuse_empty, text_checks, write_numbered
from tasks.text.tokenizers import with_line_feeds

SCHEMA = pa.schema(
    {"row": pa.uint32(), "text": pa.large_string(), "source": pa.large_string(), "split": pa.large_string()}
)
ROW_COLUMNS = ("text", "source", "split")


@dataclass
class Census:
    """Documents written so far, by official split, their characters, and the blank ones that were left out."""

    rows: int = 0
    num_chars: int = 0
    num_blank: int = 0
    splits: Counter[str] = field(default_factory=Counter)

    def add(self, rows: pl.DataFrame) -> None:
        """Count a batch."""
        self.rows += rows.height
        self.num_chars += int(rows["text"].str.len_chars().sum())
        self.splits.update(dict(rows.drop_nulls("split").group_by("split").len().iter_rows()))

    def leave_out_blank(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The documents that hold more than white space."""
        filled = rows.filter(pl.col("text").str.contains(r"\S"))
        self.num_blank += rows.height - filled.height
        return filled


def write_rows(folder: Path, *, settings: LanguageSource, inputs: Inputs, digest: str) -> LabelledRowsSummary:
    """Read every input into `rows.parquet`, a row for each document; returns the counts and what was left out.

    Raises InputError: E-DATA-001 and what the readers raise; ResourceError (E-DATA-023) beyond `max_rows`;
    IntegrityError (E-INT-003) if an input changed meanwhile.
    """
    intake, census = Intake(settings.with_preset()), Census()
    batches = map(census.leave_out_blank, read_files(inputs.files, intake, check_rows))
    write_numbered(folder / ROWS_FILE, batches, SCHEMA, max_rows=settings.max_rows, count=census.add)
    inputs.refuse_changed(digest)
    refuse_empty(census.rows, intake)
    emit(Progress(stage="ingest", done=census.rows, total=census.rows, finished=True))
    blank = f"{plural(census.num_blank, 'blank line' if settings.reads_lines else 'blank text')} left out"
    return LabelledRowsSummary(
        rows=census.rows,
        num_chars=census.num_chars,
        splits=dict(sorted(census.splits.items())),
        **intake.account(inputs, digest),
        warnings=[*intake.warnings_of_left_out(), *([blank] if census.num_blank else [])],
    )


def row_checks(settings: LanguageSource) -> list[Check]:
    """List the checks in the order in which they speak."""
    in_no_split = pl.col("split").is_null() if settings.split_files else pl.lit(False)
    patterns = ", ".join(settings.split_files.values())
    return [
        *text_checks(settings),
        split_check(is_named=settings.split_column is not None),
        Check(
            "E-SRC-013",
            "split",
            in_no_split,
            f"is a file that no pattern of split_files matches ({patterns}).",
            "correct a pattern of split_files, or name fewer files with path or include.",
        ),
    ]


def row_check(settings: LanguageSource) -> RowCheck:  # noqa: ARG001 (others parse by their settings)
    """What makes checked rows of raw ones."""
    return check_rows


def check_rows(raw: pl.DataFrame, intake: Intake[LanguageSource]) -> pl.DataFrame:
    """Filter by `where`, refuse bad rows, and return the rest: text with line feeds as line ends, source, split."""
    settings = intake.settings
    rows = with_split(filter_rows(with_text(raw, settings), intake))
    if settings.split_files:
        rows = rows.with_columns(split=split_of_files(rows["source"], settings))
    rows = refuse_rows(rows, row_checks(settings), intake)
    return rows.with_columns(with_line_feeds(pl.col("text"))).select(ROW_COLUMNS)


def split_of_files(names: pl.Series, settings: LanguageSource) -> pl.Series:
    """The split of each row by the name of its file: that of the first pattern that fits, else null."""
    patterns = settings.split_files.items()
    found = {
        name: next((split for split, pattern in patterns if is_document(name, pattern)), None)
        for name in names.unique()
    }
    return names.replace_strict(found, return_dtype=pl.String)
